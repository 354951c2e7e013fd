import t from "tap";
import { type Connection, deleteConnections, forEachConnection } from "./conntrack.ts";
import { makeMachine } from "./machine.ts";

const list = `tcp      6 7439 ESTABLISHED src=10.9.1.2 dst=10.9.1.10 sport=41000 dport=80 packets=4 bytes=216 src=10.9.2.11 dst=10.9.2.1 sport=8080 dport=41000 packets=3 bytes=170 [ASSURED] mark=2147483653 delta-time=1 use=1
udp      17 29 src=fd09:1::2 dst=fd09:1::10 sport=5000 dport=53 [UNREPLIED] src=fd09:2::11 dst=fd09:1::2 sport=5353 dport=5000 mark=7 use=1
icmp     1 29 src=10.9.1.2 dst=10.9.1.10 type=8 code=0 id=7 src=10.9.1.10 dst=10.9.1.2 type=0 code=0 id=7 mark=0 use=1
`;

t.test(
  "connections are asked for by what the client sees and who answers, and read from conntrack's lines",
  async (t) => {
    const calls: (readonly string[])[] = [];
    const machine = makeMachine({
      run: async (argv, { onLine } = {}) => {
        calls.push(argv);
        for (const line of list.split("\n")) onLine?.(line);
        return { code: 0, stdout: "", stderr: "" };
      },
    });
    const found: Connection[] = [];
    const filter = { family: "ipv4", protocol: "tcp", destination: "10.9.1.10" } as const;
    await forEachConnection(machine, filter, (connection) => found.push(connection));
    t.same(found, [
      { destination: "10.9.1.10", destinationPort: 80, server: "10.9.2.11", mark: 2147483653 },
      { destination: "fd09:1::10", destinationPort: 53, server: "fd09:2::11", mark: 7 },
    ]);
    const mark = { value: 5, mask: 0xfff };
    await deleteConnections(machine, { family: "ipv6", destinationPort: 80, server: "fd09:2::11", mark });
    t.same(
      calls.map((argv) => argv.join(" ")),
      [
        "conntrack --dump --family ipv4 --protonum tcp --orig-dst 10.9.1.10",
        "conntrack --delete --family ipv6 --orig-port-dst 80 --reply-src fd09:2::11 --mark 5/4095",
      ],
    );
  },
);
