import { user } from "../../../agent/src/access/schema.ts";
import { type Configuration, emptyConfiguration, farm } from "../../../agent/src/configuration/schema.ts";
import { networkInterface, virtualAddress } from "../../../agent/src/network/schema.ts";

/** Farms that share an address: ports tell them apart. */
const farmsPerAddress = 10;
export const backendsPerFarm = 10;
export const ownAddress = "10.64.255.1/16";

export function addressOf(number: number): string {
  return `10.64.${Math.floor(number / 200)}.${(number % 200) + 1}`;
}

/** The farm with this number, as it is sent to the API. */
export function makeFarm(number: number, enabled = true) {
  const names = Array.from({ length: backendsPerFarm }, (_, at) => at + 1);
  return {
    profile: "l4xnat",
    enabled,
    description: `Application ${number}`,
    virtualAddresses: [addressOf(Math.floor(number / farmsPerAddress))],
    ports: [String(8000 + (number % farmsPerAddress))],
    protocol: "tcp",
    natType: "dnat",
    algorithm: "weight",
    backends: Object.fromEntries(
      names.map((at) => [
        `b${at}`,
        { address: `10.80.${number >> 4}.${(number % 16) * 15 + at}`, port: 8080, weight: at },
      ]),
    ),
  };
}

export const farmName = (number: number) => `farm-${String(number).padStart(4, "0")}`;

/** scrypt of nothing: nobody logs in, the socket of root is used. */
const unusedPassword = `$7$CU..../....abcdefghijklmnopqrstuv$${"x".repeat(43)}`;

/** So many farms, the first of them enabled, with a virtual address for every ten. */
export function makeConfiguration(count: number, enabled: number): Configuration {
  const numbers = Array.from({ length: count }, (_, number) => number);
  const addresses = Array.from({ length: Math.ceil((count + 1) / farmsPerAddress) }, (_, number) => number);
  const empty = emptyConfiguration();
  return {
    ...empty,
    system: { ...empty.system, hostname: "bench", management: { ...empty.system.management, interfaces: ["eth0"] } },
    interfaces: { eth0: networkInterface.parse({ ipv4: { method: "static", addresses: [ownAddress] } }) },
    virtualAddresses: Object.fromEntries(
      addresses.map((number) => [
        `address-${number}`,
        virtualAddress.parse({ interface: "eth0", address: `${addressOf(number)}/16` }),
      ]),
    ),
    farms: Object.fromEntries(
      numbers.map((number) => [farmName(number), farm.parse(makeFarm(number, number < enabled))]),
    ),
    users: { admin: user.parse({ passwordHash: unusedPassword, roles: ["admin"] }) },
  };
}
