/**
 * Coupled channels as text.
 *
 * @module
 */
import { type Coupling, listMakers } from "../prune/groups/coupling.ts";
import { formatTable } from "./table.ts";

/** How many names a cell of the table has at most. */
const maxNames = 3;

function listText(names: readonly string[]): string {
  const more = names.length - maxNames;
  const shown = names.slice(0, maxNames).join(", ");
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** A line for each set of groups: how many channels it has, the layers whose filters go, and the weights that read them. */
export function formatGroups({ groups, sets }: Coupling): string {
  if (sets.length === 0) return "No channels may go: all are those of the images or of the logits.";
  const rows = sets.map((set) => {
    const own = set.groups.map((group) => groups[group]);
    const makers = [...new Set(own.flatMap(listMakers))];
    const readers = [...new Set(own.flatMap(({ consumers }) => consumers.map(({ parameter }) => parameter)))];
    return [`${own.length}`, listText(makers), listText(readers)];
  });
  const table = formatTable(["groups", "filters of", "read by"], rows, { align: ["right", "left", "left"] });
  return `${groups.length} groups of channels that go together, in ${sets.length} sets\n\n${table}`;
}
