/** A real Safe on the local chain, from the release's own artifacts. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Contract, getAddress, Interface, Wallet, ZeroAddress } from "ethers";
import * as z from "zod";
import { type Artifact, deployContract } from "../../deploy/eigenlayer.ts";
import { sendFor } from "../../deploy/protocol.ts";
import { ETH, type World } from "./world.ts";

const artifactFile = z.object({ abi: z.custom<Artifact["abi"]>(), bytecode: z.string() });

function artifact(path: string): Artifact {
  const file = `@safe-global/safe-smart-account/build/artifacts/contracts/${path}`;
  return artifactFile.parse(JSON.parse(readFileSync(createRequire(import.meta.url).resolve(file), "utf8")));
}

export interface TestSafe {
  readonly address: string;
  readonly contract: Contract;
  readonly owners: readonly [Wallet, Wallet, Wallet];
  readonly multiSend: string;
}

/** Two of three; the owners have some ETH for gas. */
export async function deploySafe(world: World): Promise<TestSafe> {
  const deployer = world.local.signers.outside;
  const singleton = await deployContract(deployer, artifact("Safe.sol/Safe.json"));
  const handler = await deployContract(
    deployer,
    artifact("handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json"),
  );
  const factory = await deployContract(deployer, artifact("proxies/SafeProxyFactory.sol/SafeProxyFactory.json"));
  const multiSend = await deployContract(deployer, artifact("libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json"));
  const wallet = () => new Wallet(Wallet.createRandom().privateKey);
  const owners = [wallet(), wallet(), wallet()] as const;
  for (const { address } of owners)
    await world.provider.send("hardhat_setBalance", [address, `0x${(10n * ETH).toString(16)}`]);
  const face = Interface.from(artifact("Safe.sol/Safe.json").abi);
  const people = owners.map(({ address }) => address);
  const setup = [people, 2, ZeroAddress, "0x", await handler.getAddress(), ZeroAddress, 0, ZeroAddress];
  const receipt = await sendFor(
    factory,
    "createProxyWithNonce",
    await singleton.getAddress(),
    face.encodeFunctionData("setup", setup),
    BigInt(Math.floor(Math.random() * 1e9)),
  );
  const created = receipt.logs
    .map((log) => factory.interface.parseLog(log))
    .find((log) => log?.name === "ProxyCreation");
  const address = getAddress(z.string().parse(created?.args[0]));
  return {
    address,
    contract: new Contract(address, face, deployer),
    owners,
    multiSend: await multiSend.getAddress(),
  };
}
