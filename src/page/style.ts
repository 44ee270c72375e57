/**
 * How a page looks: light and dark, narrow and wide, on screen and on paper.
 *
 * @module
 */

/** The style sheet of a page. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --faint: #5d6570; --rule: #d9dde2; --shade: #f3f5f7;
  --line-1: #0068a8; --line-2: #c24e00; --line-3: #00795a; --line-4: #a14a80;
  --line-5: #7a6200; --line-6: #2f7fb8; --line-7: #4a4f57; --line-8: #8a5a44;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e6e9ec; --faint: #a3abb5; --rule: #343a41; --shade: #1e2226;
    --line-1: #5db4ec; --line-2: #ff9c5a; --line-3: #4fd0a8; --line-4: #e59ac6;
    --line-5: #e0c35a; --line-6: #9ccdf0; --line-7: #c2c8cf; --line-8: #d8a58c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--rule); padding-top: 1rem; }
p, ul { margin: .5rem 0; }
a { color: var(--line-1); }
.faint, figcaption { color: var(--faint); font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.cards li { background: var(--shade); border-radius: .5rem; padding: .75rem 1rem; }
.cards b { display: block; font-size: 1.3rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.warning { border-left: 4px solid var(--line-2); padding-left: .75rem; }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; background: transparent; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; font-size: .9rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 50%; margin-right: .35rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--line-1); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--faint); font-weight: 600; }
tbody th { font-weight: 400; }
pre { background: var(--shade); padding: .75rem 1rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; padding: .25rem 0; }
@media print {
  :root { --paper: #fff; --ink: #000; --faint: #444; --rule: #bbb; --shade: #f3f3f3; }
  main { max-width: none; padding: 0; }
  figure, .cards li, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
}
`;
