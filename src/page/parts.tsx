/**
 * Parts that pages are made of.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { lineColours } from "./plots.ts";

/** A chart with its caption. */
export function Chart({ svg, children }: { readonly svg: string; readonly children: ComponentChildren }) {
  return (
    <figure>
      <div
        class="scroll"
        tabIndex={0}
        role="group"
        aria-label="chart"
        dangerouslySetInnerHTML={{ __html: svg }}
      />
      <figcaption>{children}</figcaption>
    </figure>
  );
}

/** The names of a chart's lines, in the order of their colours. */
export function Legend({ names }: { readonly names: readonly string[] }) {
  return (
    <ul class="legend">
      {names.map((name, i) => (
        <li>
          <i style={`background:${lineColours[i % lineColours.length]}`} />
          {name}
        </li>
      ))}
    </ul>
  );
}

/** A table whose first column names its rows. */
export function Table(
  { label, head, rows }: {
    readonly label: string;
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  },
) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>{head.map((name) => <th key={name} scope="col">{name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map(([name, ...cells]) => (
            <tr>
              <th scope="row">{name}</th>
              {cells.map((cell, i) => <td key={i}>{cell}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
