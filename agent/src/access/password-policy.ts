/**
 * What a password must be. Length counts, classes of characters do not (NIST SP 800-63B, 5.1.1.2): rules about digits and
 * signs make people write `Password1!`.
 */

const shortest = 10;
/** libxcrypt refuses more than 511 bytes (crypt(3)). */
const longestBytes = 256;

/** The head of the public lists of leaked passwords that is long enough to pass otherwise, and what this product invites. */
const common = new Set([
  "0123456789",
  "1234567890",
  "12345678910",
  "123456789a",
  "1q2w3e4r5t",
  "1q2w3e4r5t6y",
  "1qaz2wsx3edc",
  "9876543210",
  "abcdefghij",
  "adminadmin",
  "administrator",
  "administrator1",
  "changeme123",
  "iloveyou123",
  "letmein123",
  "loadbalancer",
  "p@ssw0rd123",
  "password10",
  "password11",
  "password12",
  "password123",
  "password1234",
  "passwordpassword",
  "q1w2e3r4t5",
  "qwertyqwerty",
  "qwerty1234",
  "qwerty12345",
  "qwertyuiop",
  "steelyard1",
  "steelyard123",
  "steelyardsteelyard",
  "welcome123",
  "welcome1234",
]);

/** `abcdefghijk`, `9876543210`: each character beside the one before it. */
function isRun(text: string): boolean {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0);
  const steps = codes.slice(1).map((code, at) => code - (codes[at] ?? 0));
  return Math.abs(steps[0] ?? 0) === 1 && steps.every((step) => step === steps[0]);
}

/** `abc1abc1abc1`: a few characters, over and over. */
function isRepetition(text: string): boolean {
  return [1, 2, 3, 4, 5].some(
    (length) => text.length >= 2 * length && text.slice(length) === text.slice(0, text.length - length),
  );
}

/** What whoever tries passwords one after the other comes to soon. */
export function isGuessedFirst(password: string): boolean {
  const folded = password.toLowerCase();
  return common.has(folded) || new Set(folded).size < 3 || isRun(folded) || isRepetition(folded);
}

/** Every reason to refuse a new password, each as what is expected; none when it is good. */
export function checkPassword(password: string, userName: string): string[] {
  const reasons: string[] = [];
  const folded = password.toLowerCase();
  if ([...password].length < shortest) reasons.push(`expected at least ${shortest} characters`);
  if (Buffer.byteLength(password) > longestBytes) reasons.push(`expected at most ${longestBytes} bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  if (/[\u0000-\u001f\u007f]/.test(password)) reasons.push("expected no control characters");
  if (folded === userName || folded === userName.repeat(2)) reasons.push("expected something else than the user name");
  else if (userName.length > 2 && folded.includes(userName) && folded.length - userName.length < 8)
    reasons.push("expected more than the user name and a few characters");
  if (isGuessedFirst(password)) reasons.push("expected a password that is not among the first to be guessed");
  return reasons;
}
