import t from "tap";
import { renderHaproxy } from "./haproxy.ts";
import { renderIpvs } from "./ipvs.ts";
import { type HandFarm, renderAddition, renderChange, renderRemoval, renderRuleset } from "./nft-rules.ts";
import { renderNftlbChange, renderNftlbFarm } from "./nftlb.ts";

const farm: HandFarm = {
  name: "web",
  address: "192.0.2.10",
  port: 80,
  backends: [
    { address: "198.51.100.1", port: 8080 },
    { address: "198.51.100.2", port: 8080, weight: 3 },
  ],
};

t.test("hand-written rules: one table, replaced in one transaction", async (t) => {
  const rule =
    "meta l4proto tcp dnat ip to numgen random mod 4 map { 0 : 198.51.100.1 . 8080, 1-3 : 198.51.100.2 . 8080 }";
  t.equal(
    renderRuleset([farm]),
    `table ip bench
delete table ip bench
table ip bench {
	map services {
		type ipv4_addr . inet_service : verdict
		elements = {
			192.0.2.10 . 80 : goto farm-web
		}
	}
	chain farm-web {
		${rule}
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		meta l4proto tcp ip daddr . tcp dport vmap @services
	}
}
`,
  );
  t.match(renderRuleset([{ ...farm, masquerade: true }]), "ct mark 0x1 masquerade");
  t.equal(
    renderAddition(farm),
    `add chain ip bench farm-web\nadd rule ip bench farm-web ${rule}\nadd element ip bench services { 192.0.2.10 . 80 : goto farm-web }\n`,
  );
  t.equal(renderChange(farm), `flush chain ip bench farm-web\nadd rule ip bench farm-web ${rule}\n`);
  t.equal(
    renderRemoval(farm),
    "delete element ip bench services { 192.0.2.10 . 80 }\ndelete chain ip bench farm-web\n",
  );
});

t.test("IPVS: destination translation in turn", async (t) => {
  t.equal(
    renderIpvs([farm]),
    "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 198.51.100.1:8080 -m\n-a -t 192.0.2.10:80 -r 198.51.100.2:8080 -m\n",
  );
});

t.test("HAProxy: TCP mode, a listener with its servers", async (t) => {
  const text = renderHaproxy([farm], 2);
  t.match(text, "    nbthread 2\n");
  t.match(text, "    mode tcp\n");
  t.match(
    text,
    "\nlisten web\n    bind 192.0.2.10:80\n    server b1 198.51.100.1:8080\n    server b2 198.51.100.2:8080\n",
  );
});

t.test("nftlb: a farm as the agent would send it, and a change of one backend", async (t) => {
  t.match(renderNftlbFarm(farm, 0xff0), {
    farms: [
      {
        ...{ name: "web", mode: "dnat", scheduler: "weight", state: "up" },
        addresses: [{ name: "web.192.0.2.10", "ip-addr": "192.0.2.10", ports: "80", protocol: "tcp" }],
        backends: [
          { name: "b1", mark: "0xff0", "ip-addr": "198.51.100.1", weight: "1" },
          { name: "b2", mark: "0xff1", "ip-addr": "198.51.100.2", weight: "3" },
        ],
      },
    ],
  });
  t.same(renderNftlbChange(farm, 1, { state: "off" }), {
    farms: [{ name: "web", backends: [{ name: "b2", state: "off" }] }],
  });
});
