/** The public keys of age that a backup can be made for: `age1…`, Bech32 (BIP 173) with its checksum. Pure. */

const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** True for an X25519 recipient: 32 bytes and six characters of checksum behind `age1`. */
export function isRecipient(text: string): boolean {
  if (!/^age1[02-9ac-hj-np-z]{58}$/.test(text)) return false;
  const prefix = [..."age"].map((each) => each.charCodeAt(0));
  const data = [...text.slice("age1".length)].map((each) => alphabet.indexOf(each));
  const expanded = [...prefix.map((each) => each >> 5), 0, ...prefix.map((each) => each & 31), ...data];
  return checksum(expanded) === 1;
}

function checksum(values: readonly number[]): number {
  return values.reduce((sum, value) => {
    const top = sum >>> 25;
    const next = ((sum & 0x1ffffff) << 5) ^ value;
    return generator.reduce((each, part, bit) => ((top >> bit) & 1 ? each ^ part : each), next);
  }, 1);
}
