/** What must not be shown: private keys, and the parts of addresses that providers use as passwords. */

/**
 * 32 bytes in hex, as private keys are written, or some digits of it that were lost. Longer than an address; hashes look
 * the same, so this is for places where none belongs.
 */
const KEY = /(?:0x)?[0-9a-f]{48,}/gi;

export const looksLikeKey = (text: string): boolean => /^\s*(?:0x)?[0-9a-f]{48,}\s*$/i.test(text);

/** A text without anything that might be a private key. */
export const withoutKeys = (text: string): string => text.replaceAll(KEY, "…");

/** An address for logs and messages: providers put their passwords into the path, the query or before the host. */
export function hostOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return "an address that is none";
  const secret = parsed.pathname.length > 1 || parsed.search !== "";
  return `${parsed.protocol}//${parsed.host}${secret ? "/…" : ""}`;
}
