import { Performed } from "../generated/Upkeep/Upkeep";

export function handlePerformed(event: Performed): void {}
