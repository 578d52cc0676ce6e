/** The words around the table of docs/ROLES.md. */
import { getAddress } from "ethers";
import { page, type RoleState, type Row } from "./surface.ts";

const BEFORE = `
# Roles

Who may call what. Made by \`npm run roles\` from an AccessManager as it is deployed (roles, holders, delays) and from \`deploy/access.ts\` (what the worst holder could do); do not edit it. A test walks every function of every contract and calls it as a stranger: one that is missing here, or answers otherwise than it says, fails the test.

A holder's name is the entry of the deployment's configuration. Delays are those of \`DEFAULT_ROLE_DELAYS\`. "only X" are calls between the protocol's own contracts, or by the owner of what is moved; the rest of the permissionless functions can move only the caller's own money, or an amount that books and mandate give.
`;

const AFTER = `
## What follows

- **Riskier mandates** wait at least 45 days, longer than an ordinary exit takes, whoever holds the roles. While one waits, \`Mandate.pending\` names its hash and \`SolvencyLens.outlook\` answers what U, L_k and the limits would be under it. Safer ones are in force at once.
- **The guardian** can only take risk away: no call of his raises L_k, lowers the cover, or stops an exit, a claim or a sync.
- **The upgrader** waits longest, and the guardian may call his upgrade off. From five days after the deployment not even the admin gets there faster (SPEC section 6.3).
- **The admin** can grant himself curator and guardian without a delay. On a public network he should be a timelock, or nobody.

## Handing a role on

AccessManager grants a role to any address, so a typo gives it to nobody. Therefore \`npm run handover\` moves a role in two steps, and a role is never revoked before its new holder has proved that he can act:

1. The new holder sends \`RoleAcceptance.accept(manager, role)\` himself (for a Safe: as a Safe transaction). An address that nobody controls cannot do that.
2. The admin's batch first calls \`RoleAcceptance.requireAccepted(manager, role, holder)\`, then grants and (in the same batch, or for the upgrader 60 days later, when the grant counts) revokes: it reverts as a whole where the first step is missing.

What remains: the admin *may* call \`grantRole\`, \`updateAuthority\` or \`setRoleAdmin\` directly, and then nothing checks for typos; the beacons' \`transferOwnership\` has one step too, but 60 days and the guardian's veto before it. The last admin may renounce his role; then roles are as they are for good.
`;

/** docs/ROLES.md as a whole. */
export const rolesPage = (roles: readonly RoleState[], rows: readonly Row[], names: ReadonlyMap<string, string>) =>
  page(roles, rows, (account) => names.get(getAddress(account)) ?? account, { before: BEFORE, after: AFTER });
