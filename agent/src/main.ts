import { type Machine, makeMachine } from "./adapters/machine.ts";
import { makeServiceManager } from "./adapters/service-manager.ts";
import { createServer, type StatusReaders } from "./api/server.ts";
import { makeManagementCertificates } from "./certificates/management.ts";
import { makeControl } from "./commit/commit.ts";
import { openStore } from "./configuration/store.ts";
import { dslb, makeUplinksWatch, readUplinkStatuses } from "./dslb/index.ts";
import { messageOf } from "./errors.ts";
import { isOpen } from "./first-boot/complete.ts";
import { runFirstBoot } from "./first-boot/first-boot.ts";
import { keepStatusScreen } from "./first-boot/status-writer.ts";
import { readFarmStates, readFarmStatuses, watchDataPlane } from "./lslb/l4/index.ts";
import { nameCards } from "./network/identity/apply.ts";
import { listNamesInUse } from "./network/inventory.ts";
import { announceArrival } from "./network/neighbours/arrivals.ts";
import { describeConflicts, followConflicts } from "./network/neighbours/conflicts.ts";
import { readAllCounters, readInterfaceStatus, readLinks } from "./network/status.ts";
import { describeRefusals } from "./network/tuning/status.ts";
import { watchLinks } from "./network/watch.ts";
import { readRoutes, readRules, routing, watchNetwork } from "./routing/index.ts";
import { subsystems } from "./subsystems.ts";
import { readSystemLoad, readSystemStatus, readSystemVersion } from "./system/status.ts";

/**
 * The agent: opens the configuration, serves, brings the machine to the configuration, tells systemd, and watches.
 *
 * It is ready once the machine was brought to the configuration for the first time, whether or not all of it worked: what did
 * not is tried again by the watch, and an operator needs the API most when something does not work. Stopping the agent leaves
 * the data plane as it is.
 */
async function main(): Promise<void> {
  // Directories and files are for the agent and its group; what daemons read gets its mode where it is written.
  process.umask(0o022);
  const machine = makeMachine();
  const manager = makeServiceManager(machine.run, process.env);
  const beat = startHeartbeat(manager, machine);

  const store = await openStore(machine.path("/config"), machine.log);
  const control = makeControl(store, subsystems, machine);
  // Before anything names a card: files, rules and people do so by these names.
  await nameCards(machine, listNamesInUse(control.current().configuration.interfaces));
  // Before anybody is served, and before the machine is brought to it: an unconfirmed generation does not survive a restart.
  await control.resume();
  const tls = makeManagementCertificates(machine, () => control.current().configuration);
  const uplinks = makeUplinksWatch(machine, control, dslb);
  const status: StatusReaders = {
    readFarmStatuses: (names) => readFarmStatuses(machine, control.current().configuration, names),
    readLinks: () => readLinks(machine),
    readInterfaceStatus: (name) => readInterfaceStatus(machine, name),
    readFarmStates: () => readFarmStates(machine, control.current().configuration),
    readStatistics: async () => ({
      ...(await readSystemLoad(machine)),
      interfaces: await readAllCounters(machine),
    }),
    readRoutes: () => readRoutes(machine, control.current().configuration),
    readUplinkStatuses: () => readUplinkStatuses(machine, control.current().configuration),
    returnUplink: (farm, uplink) => uplinks.giveBack(farm, uplink),
    readRules: () => readRules(machine, control.current().configuration),
    readSystemStatus: async () => {
      const { problems, warnings } = tls.describe(machine.now());
      return await readSystemStatus(machine, control, {
        problems: [...problems, ...describeConflicts(machine)],
        warnings: [...warnings, ...(await describeRefusals(machine))],
      });
    },
  };
  const server = await createServer({
    control,
    machine,
    status,
    version: (await readSystemVersion(machine)).version,
    tls,
  });
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  stop.signal.addEventListener("abort", () => void shutDown(), { once: true });

  await server.listen();
  control.subscribe(({ kind }) => {
    if (kind === "committed" || kind === "reverted") void server.follow();
  });

  followConflicts(machine, (kind, data) => server.publish("states", kind, data));
  await watchLinks(machine, {
    publish: (kind, data) => server.publish("states", kind, data),
    onCarrier: (name) => announceArrival(machine, name),
    onNewCard: async () => {
      const { interfaces, system } = control.current().configuration;
      const configured = listNamesInUse(interfaces);
      const named = await nameCards(machine, configured);
      const wanted = system.unconfiguredCards === "up" ? named : named.filter((name) => configured.includes(name));
      if (wanted.length > 0) await control.reconcile(`${named.join(", ")} came`);
    },
    signal: stop.signal,
  }).catch((error) => machine.log.error(`following the network links: ${messageOf(error)}`));

  const fresh = isOpen(control);
  if (fresh) await manager.ready("waiting for the first boot to be completed");
  // On a box that has a configuration this returns at once, and tells the console so.
  await runFirstBoot({ machine, control, signal: stop.signal });
  if (stop.signal.aborted) return;
  if (!fresh) {
    await manager.status("bringing the machine to its configuration");
    await control.reconcile("start").catch(() => undefined); // It has logged why; the watch tries again.
  }
  void keepStatusScreen({ machine, control, status, signal: stop.signal });
  await manager.ready(`serving generation ${control.current().generation}`);
  await Promise.all([
    watchDataPlane(machine, control, { subsystems, signal: stop.signal }),
    watchNetwork(machine, control, [routing, dslb], stop.signal),
    uplinks.run(stop.signal),
  ]);

  async function shutDown(): Promise<void> {
    await manager.stopping();
    clearInterval(beat);
    await server.close();
    process.exit(0);
  }
}

/** Signs of life for systemd's watchdog: a loop that hangs does not send them, and is replaced. */
function startHeartbeat(manager: ReturnType<typeof makeServiceManager>, machine: Machine): NodeJS.Timeout | undefined {
  if (manager.watchdogInterval === undefined) return undefined;
  const beat = () => void manager.keepAlive().catch((error) => machine.log.warn(`watchdog: ${error}`));
  beat();
  return setInterval(beat, manager.watchdogInterval);
}

main().catch((error) => {
  process.stderr.write(`<2>${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
  process.exit(1);
});
