/**
 * Names of before refits had one name, in configurations and reports that were written then.
 *
 * @module
 */

/** Keys, and values of them that have another name too. */
const keys: ReadonlyMap<
  string,
  { readonly key: string; readonly values?: Readonly<Record<string, string>> }
> = new Map([
  ["replace", { key: "refit" }],
  ["posterior", { key: "selection", values: { diagonal: "score", layer: "obs" } }],
]);

/** Parts of the names of variants. */
const parts: ReadonlyMap<string, string> = new Map([["replace", "refit"], ["reselect", "obs"]]);

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Gives old keys of a configuration their names; what is none stays as it is. */
export function renameOldKeys(config: unknown): unknown {
  if (!isRecord(config)) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const renamed = keys.get(key);
      // Beside the new key, the old one is one that there is not.
      if (!renamed || Object.hasOwn(config, renamed.key)) return [key, value];
      const { values = {} } = renamed;
      const isKnown = typeof value === "string" && Object.hasOwn(values, value);
      return [renamed.key, isKnown ? values[value] : value];
    }),
  );
}

/** Gives old names in a configuration, or in a report with one in it, the names of now. */
export function renameOld(value: unknown): unknown {
  // No configuration has such a key.
  if (!isRecord(value) || !("config" in value)) return renameOldKeys(value);
  const { cells } = value, config = renameOldKeys(value.config);
  if (!Array.isArray(cells)) return { ...value, config };
  return {
    ...value,
    config,
    cells: cells.map((cell: unknown) => {
      if (!isRecord(cell) || typeof cell.variant !== "string") return cell;
      const [criterion, ...rest] = cell.variant.split("/");
      return { ...cell, variant: [criterion, ...rest.map((part) => parts.get(part) ?? part)].join("/") };
    }),
  };
}
