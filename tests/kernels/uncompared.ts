/**
 * What plans ask for and no test compared with a reference.
 *
 * @module
 */
import { kernelLines } from "../../src/kernels/source.ts";
import { formatVariant, type Variant } from "./variants.ts";

/** What reads the overrides of a kernel: the files that declare them, which several cores and kernels may share. */
function readersOf(kernel: string): string {
  const files = kernelLines(kernel).filter(({ text }) => text.startsWith("override ")).map(({ file }) =>
    file
  );
  return [...new Set(files)].join("+");
}

/**
 * Finds what is asked for and was not compared:
 *
 * - each kernel on each read path with each value of each override;
 * - each combination of overrides, whichever core and path has it: what reads them is the same text.
 */
export function findUncompared(asked: readonly Variant[], compared: readonly Variant[]): readonly string[] {
  const valuesOf = ({ kernel, path, overrides }: Variant) => [
    formatVariant({ kernel, path, overrides: {} }),
    ...Object.entries(overrides).map(([name, value]) =>
      formatVariant({ kernel, path, overrides: { [name]: value } })
    ),
  ];
  const textsOf = (variant: Variant) => {
    const { kernel, overrides } = variant;
    if (Object.keys(overrides).length < 2) return valuesOf(variant);
    const combination = formatVariant({ kernel: readersOf(kernel), path: "any path", overrides });
    return [...valuesOf(variant), combination];
  };
  const known = new Set(compared.flatMap(textsOf));
  return [...new Set(asked.flatMap(textsOf))].filter((text) => !known.has(text)).sort();
}
