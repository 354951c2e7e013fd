import { readFile, stat, writeFile } from "node:fs/promises";
import t from "tap";
import { setUpCommand } from "./testing.ts";

t.test("a backup is made with a passphrase from a file, fetched, sent to the box and restored", async (t) => {
  const { run, control, machine } = await setUpCommand(t);
  const secret = machine.path("/secret.txt");
  const file = machine.path("/lb1.age");
  await writeFile(secret, "four words nobody guesses\n");
  const wrong = machine.path("/wrong.txt");
  await writeFile(wrong, "four words somebody guesses\n");
  await run("farm create web --vip 192.0.2.10 --port 80");
  t.match(await run(`backup create first --passphrase-file ${secret} --no-identity --output ${file}`), {
    status: 0,
    out: `backup first is on the box and in ${file}`,
  });
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.match(await run("backup list"), { status: 0, out: /^NAME .*\nfirst .* made +passphrase +steelyard/ });
  t.match(await run(`backup create first --passphrase-file ${secret}`), { status: 3, err: /there is a backup first/ });
  t.match(await run("backup create second", "short\n"), { status: 2, err: /passphrase: expected at least 12/ });
  const detached = await run("backup create second --detach", "four words nobody guesses\n");
  t.match(detached, { status: 0, out: /^[a-z0-9]{12}$/ });
  t.match(await run(`job follow ${detached.out}`), { status: 0, out: /state: done/ });
  t.match(await run("job list"), { out: /make backup second/ });
  t.match(await run(`job log ${detached.out}`), { out: /encrypt/ });

  await run("farm delete web");
  const dry = await run(`backup restore sent --from ${file} --passphrase-file ${secret} --dry-run`);
  t.match(dry, { status: 0, out: /backup of steelyard, .*\n(?:.*\n)*farms\/web: added/ });
  t.same(Object.keys(control.current().configuration.farms), []);
  t.match(await run(`backup restore sent --from ${file} --passphrase-file ${wrong}`), {
    status: 2,
    err: /does not open/,
  });
  t.notMatch(
    await run("backup list"),
    { out: /sent/ },
    "neither a dry run nor a restore that failed leaves the file it sent",
  );
  t.match(await run(`backup upload sent --from ${file} --dry-run`), { status: 0, out: /keep backup sent/ });
  t.match(await run(`backup upload sent --from ${file}`), { status: 0 });
  t.match(await run("backup create third --passphrase-file /nowhere --dry-run"), { status: 2 });
  t.match(await run("backup restore sent", "not the right words\n"), { status: 2, err: /does not open this backup/ });
  t.match(await run(`backup restore sent --passphrase-file ${secret} --map eth0`), { status: 2, err: /as eth0=eth2/ });
  t.match(await run(`backup restore sent --passphrase-file ${secret}`), {
    status: 0,
    out: /restored as generation 5$/,
  });
  t.same(Object.keys(control.current().configuration.farms), ["web"]);
});

t.test("a key pair for scheduled backups is made here, and opens what was made for it", async (t) => {
  const { run, machine } = await setUpCommand(t);
  const file = machine.path("/key.txt");
  const { out: publicKey } = await run(`backup new-key --output ${file}`);
  t.match(publicKey, /^age1[a-z0-9]{58}$/);
  t.match(await readFile(file, "utf8"), /^# public key: age1.*\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n$/);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.match(await run(`backup new-key --output ${file}`), { status: 2, err: /such a file already/ });
  t.match(await run(`backup create keyed --recipient ${publicKey}`), { status: 0 });
  t.match(await run(`backup restore keyed --key-file ${file} --dry-run`), { status: 0, out: /nothing to do/ });
  t.match(await run(`system backup-schedule set enabled=true recipients=${publicKey} keep=3`), { status: 0 });
  t.match(await run("system backup-schedule show"), { out: /keep: 3/ });
});
