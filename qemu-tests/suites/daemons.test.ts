import type { Test } from "tap";
import { readExposure, withDaemon, writeFile } from "../src/box/units.ts";
import { inNamespace } from "../src/lab/namespaces.ts";
import { back, backendPorts, backends } from "../src/lab/plan.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { waitFor } from "../src/wait.ts";

const mostExposure = 3.5;

/**
 * The daemons that farms to come and the cluster need, each under its unit and in its sandbox, with the least configuration by
 * which it does its work. They are asked from the box itself: the firewall opens nothing for what no farm asked for.
 */
export const daemons: Suite = {
  name: "daemons",
  machine: "bios",
  run: async (context) => {
    await checkHaproxy(context);
    await checkGdnsd(context);
    await checkConntrackd(context);
    await checkKeepalived(context);
  },
};

async function checkHaproxy({ box: { machine }, check }: SuiteContext): Promise<void> {
  const path = "/etc/haproxy/haproxy.cfg";
  const configure = (backend: string) => `
global
	log /dev/log local0
	chroot /var/lib/haproxy
	user haproxy
	group haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
defaults
	mode http
	log global
	timeout connect 5s
	timeout client 5s
	timeout server 5s
listen web
	bind 127.0.0.1:8088
	server one ${backend}:80
`;
  const ask = () => machine.shell("curl --silent --max-time 30 http://127.0.0.1:8088/", machine.scale(10_000));
  await check("haproxy forwards HTTP in its sandbox, also after a reload", async (t) => {
    await withDaemon(machine, "haproxy.service", { [path]: configure(backends.b1.ipv4) }, async () => {
      t.match(JSON.parse(await ask()), { name: "b1" });
      await writeFile(machine, path, configure(backends.b2.ipv4));
      await machine.run(["systemctl", "reload", "haproxy.service"], { timeout: machine.scale(20_000) });
      const answered = async () => JSON.parse(await ask()).name === "b2";
      await waitFor("the new configuration", answered, { timeout: machine.scale(10_000) });
      t.equal(await machine.shell("stat --format=%a /run/haproxy/admin.sock"), "660");
    });
    await checkExposure(t, machine, "haproxy.service");
  });
}

async function checkGdnsd({ box: { machine }, check }: SuiteContext): Promise<void> {
  const files = {
    "/etc/gdnsd/config": `
options => { listen => [ 127.0.0.1 ] }
plugins => { multifo => { web => { b1 => ${backends.b1.ipv4}, b2 => ${backends.b2.ipv4} } } }
`,
    "/etc/gdnsd/zones/steelyard.test": `
@ SOA ns hostmaster ( 1 7200 1800 259200 60 )
@ NS ns
ns A ${back.box.ipv4}
www DYNA multifo!web
`,
  };
  const program = `
const resolver = new (require("node:dns").promises.Resolver)();
resolver.setServers(["127.0.0.1"]);
resolver.resolve4("www.steelyard.test").then((found) => console.log(found.sort().join(" ")));
`;
  const ask = async () =>
    (await machine.run(["node", "-e", program], { timeout: machine.scale(20_000) })).stdout.trim();
  await check("gdnsd answers on port 53 in its sandbox, also after a reload", async (t) => {
    await withDaemon(machine, "gdnsd.service", files, async () => {
      t.equal(await ask(), `${backends.b1.ipv4} ${backends.b2.ipv4}`);
      const changed = files["/etc/gdnsd/config"].replace(`, b2 => ${backends.b2.ipv4}`, "");
      await writeFile(machine, "/etc/gdnsd/config", changed);
      await machine.run(["systemctl", "reload", "gdnsd.service"], { timeout: machine.scale(20_000) });
      const answered = async () => (await ask()) === backends.b1.ipv4;
      await waitFor("the new configuration", answered, { timeout: machine.scale(10_000) });
    });
    await checkExposure(t, machine, "gdnsd.service");
  });
}

async function checkConntrackd({ box: { machine }, check }: SuiteContext): Promise<void> {
  const configuration = `
General {
	Systemd on
	Syslog on
	HashSize 32768
	HashLimit 131072
	LockFile /run/lock/conntrackd.lock
	UNIX { Path /run/conntrackd.sock }
	NetlinkBufferSize 2097152
	NetlinkBufferSizeMaxGrowth 8388608
	NetlinkEventsReliable On
	Filter From Kernelspace { Protocol Accept { TCP } }
}
Sync {
	Mode FTFW { DisableExternalCache yes }
	UDP {
		IPv4_address ${back.box.ipv4}
		IPv4_Destination_Address ${backends.b1.ipv4}
		Port 3780
		Interface nic1
		Checksum on
	}
}
`;
  const path = "/etc/conntrackd/conntrackd.conf";
  await check("conntrackd keeps the connections in its sandbox, to send them to its peer", async (t) => {
    await withDaemon(machine, "conntrackd.service", { [path]: configuration }, async () => {
      const timeout = machine.scale(10_000);
      t.match(await machine.shell("conntrackd -s", timeout), /cache internal:\s+current active connections:\s+[1-9]/);
      const connect = `exec 3<>/dev/tcp/${backends.b1.ipv4}/${backendPorts.echo}; sleep 1; conntrackd -i`;
      const { stdout } = await machine.run(["/bin/bash", "-c", connect], { timeout });
      t.match(stdout, new RegExp(`ESTABLISHED .*dst=${backends.b1.ipv4} .*dport=${backendPorts.echo}`));
    });
    await checkExposure(t, machine, "conntrackd.service");
  });
}

async function checkKeepalived({ lab, box: { machine }, check }: SuiteContext): Promise<void> {
  const address = "10.20.0.200";
  const configuration = `
vrrp_instance check {
	state MASTER
	interface nic1
	version 3
	virtual_router_id 51
	priority 200
	advert_int 0.1
	virtual_ipaddress { ${address}/24 }
}
`;
  const path = "/etc/keepalived/keepalived.conf";
  const question = inNamespace(lab.id, "b1", ["arping", "-q", "-c", "1", "-w", "2", "-I", "eth0", address]);
  const answers = async () => (await runCommand(question, { accept: [0, 1] })).code === 0;
  await check("keepalived takes a VRRP address in its sandbox, and gives it up when it stops", async (t) => {
    await withDaemon(machine, "keepalived.service", { [path]: configuration }, async () => {
      await waitFor("the address to answer", answers, { timeout: machine.scale(10_000), interval: 200 });
      t.match(await machine.shell("ip -brief address show dev nic1"), new RegExp(address));
    });
    t.notMatch(await machine.shell("ip -brief address show dev nic1"), new RegExp(address));
    await checkExposure(t, machine, "keepalived.service");
  });
}

async function checkExposure(t: Test, machine: SuiteContext["box"]["machine"], unit: string): Promise<void> {
  const exposure = await readExposure(machine, unit);
  t.ok(exposure <= mostExposure, `${unit}: exposure ${exposure}`);
}
