/** Keys come from an encrypted keystore or from the environment, never from the command line, which others can read. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { Wallet } from "ethers";

export const KEY_VARIABLE = "SAFE_KEY";
export const PASSWORD_VARIABLE = "SAFE_PASSWORD";

export async function readKey(
  keystore: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Wallet> {
  if (keystore !== undefined) {
    const password = environment[PASSWORD_VARIABLE] ?? (await ask(`Password of ${keystore}: `));
    try {
      return (await Wallet.fromEncryptedJson(readFileSync(keystore, "utf8"), password)) as Wallet;
    } catch {
      throw new Error(`${keystore} does not open: it is not a keystore, or the password is wrong.`);
    }
  }
  const key = environment[KEY_VARIABLE];
  if (key === undefined)
    throw new Error(`No key: name a keystore with --keystore FILE, or put the key into ${KEY_VARIABLE}.`);
  try {
    return new Wallet(key);
  } catch {
    throw new Error(`${KEY_VARIABLE} is not a private key.`);
  }
}

async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Error(`Nobody to ask for the password: put it into ${PASSWORD_VARIABLE}.`);
  process.stdout.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  const answer = await lines.question("");
  lines.close();
  process.stdout.write("\n");
  return answer;
}
