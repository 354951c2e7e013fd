import * as fs from "node:fs/promises";
import { join } from "node:path";
import { run } from "../src/adapters/process.ts";
import { type Daemon, environment, findFile, startDaemon, untilListening } from "./daemons.ts";

/** An OpenLDAP server with a small company in it, on the loopback of the test's own namespace. */
export type Slapd = {
  plainPort: number;
  securePort: number;
  /** Changes entries, in LDIF (RFC 2849). */
  modify(ldif: string): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
};

export const suffix = "dc=example,dc=com";
export const passwords = {
  search: "password of the one who searches",
  anna: "anna's own password",
  bert: "bert's own password",
  carl: "carl's own password",
};

const root = { dn: `cn=root,${suffix}`, password: "root of the test" };

export async function makeSlapd(
  directory: string,
  files: { ca: string; key: string; certificate: string },
): Promise<Slapd> {
  const [plainPort, securePort] = [3890, 6360];
  const data = join(directory, "data");
  await fs.mkdir(data, { recursive: true });
  const settings = join(directory, "slapd.conf");
  const schema = findFile("/etc/ldap/schema");
  await fs.writeFile(
    settings,
    `${["core", "cosine", "nis", "inetorgperson"].map((name) => `include ${schema}/${name}.schema`).join("\n")}
modulepath ${findFile("/usr/lib/ldap")}
moduleload back_mdb
moduleload memberof
pidfile ${directory}/slapd.pid
argsfile ${directory}/slapd.args
TLSCACertificateFile ${files.ca}
TLSCertificateFile ${files.certificate}
TLSCertificateKeyFile ${files.key}
database mdb
suffix "${suffix}"
rootdn "${root.dn}"
rootpw "${root.password}"
directory ${data}
maxsize 10485760
dbnosync
overlay memberof
memberof-group-oc groupOfNames
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=groups,${suffix}" by dn.exact="cn=steelyard,ou=services,${suffix}" read by * none
access to * by dn.exact="cn=steelyard,ou=services,${suffix}" read by self read by anonymous auth by users search
`,
  );
  let daemon: Daemon | undefined;
  const start = async () => {
    const urls = `ldap://127.0.0.1:${plainPort}/ ldaps://127.0.0.1:${securePort}/`;
    daemon = startDaemon([findFile("/usr/sbin/slapd"), "-h", urls, "-f", settings, "-d", "0"]);
    await untilListening("127.0.0.1", securePort, daemon);
  };
  const change = async (command: string, input: string) => {
    const address = `ldap://127.0.0.1:${plainPort}/`;
    await run([findFile(`/usr/bin/${command}`), "-x", "-H", address, "-D", root.dn, "-w", root.password], {
      input,
      environment,
    });
  };
  await start();
  await change("ldapadd", company);
  return {
    plainPort,
    securePort,
    modify: (ldif) => change("ldapmodify", ldif),
    start,
    stop: async () => await daemon?.stop(),
  };
}

const person = (name: string, password: string) => `dn: uid=${name},ou=people,${suffix}
objectClass: inetOrgPerson
uid: ${name}
cn: ${name}
sn: ${name}
userPassword: ${password}
`;

const group = (name: string, ...members: string[]) => `dn: cn=${name},ou=groups,${suffix}
objectClass: groupOfNames
cn: ${name}
${members.map((member) => `member: ${member},${suffix}`).join("\n")}
`;

const unit = (name: string) => `dn: ou=${name},${suffix}
objectClass: organizationalUnit
ou: ${name}
`;

/** anna is in network; bert in web, which is in network, which is in all (and all in web: a circle); carl in none. */
const company = [
  `dn: ${suffix}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n`,
  ...["people", "groups", "services"].map(unit),
  `dn: cn=steelyard,ou=services,${suffix}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: steelyard\nuserPassword: ${passwords.search}\n`,
  person("anna", passwords.anna),
  person("bert", passwords.bert),
  person("carl", passwords.carl),
  person("admin", "an admin of the directory alone"),
  group("web", "uid=bert,ou=people"),
  group("network", "uid=anna,ou=people", "cn=web,ou=groups", "uid=admin,ou=people"),
  group("all", "cn=network,ou=groups"),
  `dn: cn=web,ou=groups,${suffix}\nchangetype: modify\nadd: member\nmember: cn=all,ou=groups,${suffix}\n`,
  `dn: cn=unix,ou=groups,${suffix}\nchangetype: add\nobjectClass: posixGroup\ncn: unix\ngidNumber: 4000\nmemberUid: anna\n`,
  `dn: ou=elsewhere,ou=people,${suffix}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://127.0.0.9:3891/dc=other\n`,
]
  .map((entry) => entry.replace(/^(dn: .*\n)(?!changetype)/, "$1changetype: add\n"))
  .join("\n");
