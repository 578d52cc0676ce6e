import { Allocated, Deregistered, StakeEvacuated } from "../generated/templates/Allocator/IAllocator";

export function handleAllocated(event: Allocated): void {}

export function handleDeregistered(event: Deregistered): void {}

export function handleStakeEvacuated(event: StakeEvacuated): void {}
