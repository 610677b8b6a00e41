/** The style sheet of the report: for screens in light and dark, and for paper. */

const LIGHT = `
    --page: #ffffff; --ink: #1c2126; --quiet: #5c6670; --edge: #d5dadf; --panel: #f6f7f9;
    --good: #14713a; --bad: #b3261e; --warn: #8a5a00; --mark: #b3261e; --limit: #b3261e;
    --series-1: #1f5fbf; --series-2: #c2570c; --series-3: #137a52; --series-4: #8b3fb0;
    --series-5: #9a6a00; --series-6: #c0326e; --series-7: #0d7a8a; --series-8: #5f6b76;`;
const DARK = `
    --page: #14181c; --ink: #e4e8ec; --quiet: #9aa5b0; --edge: #363e46; --panel: #1c2228;
    --good: #5fd08c; --bad: #ff8a80; --warn: #f2bd5b; --mark: #ff8a80; --limit: #ff8a80;
    --series-1: #78aeff; --series-2: #ffa45c; --series-3: #5fd0a0; --series-4: #d09cf0;
    --series-5: #e6c35c; --series-6: #ff8ab8; --series-7: #5ccbdc; --series-8: #a9b5c0;`;

export const STYLE = `
  :root { color-scheme: light;${LIGHT} }
  @media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark;${DARK} } }
  * { box-sizing: border-box; }
  html { background: var(--page); }
  body { margin: 0 auto; max-width: 86rem; padding: 2rem 1.5rem 4rem; color: var(--ink); background: var(--page);
    font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
  h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
  h2 { font-size: 1.35rem; margin: 3rem 0 .25rem; padding-top: 1rem; border-top: 2px solid var(--edge); }
  h3 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
  h4 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
  p { margin: .25rem 0 .75rem; max-width: 60rem; }
  a { color: inherit; }
  .quiet { color: var(--quiet); }
  .badge { display: inline-block; padding: .05rem .55rem; border: 1.5px solid currentColor; border-radius: 99px; font-size: .8rem;
    font-weight: 600; vertical-align: .15em; white-space: nowrap; }
  .good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
  .virtual { border: 2px dashed var(--warn); border-radius: 6px; padding: .6rem .9rem; margin: 1rem 0; color: var(--warn); font-weight: 600; }
  .findings { border-left: 4px solid var(--bad); background: var(--panel); padding: .5rem 1rem .5rem 2rem; margin: .75rem 0; }
  .findings.drift { border-color: var(--warn); }
  .findings.fine { border-color: var(--good); padding-left: 1rem; list-style: none; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: .75rem 0; }
  dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
  th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--edge); vertical-align: top; }
  thead th { color: var(--quiet); font-weight: 600; border-bottom-width: 2px; white-space: nowrap; }
  tbody th { font-weight: 500; }
  td.figure, th.figure { text-align: right; white-space: nowrap; }
  td.whole { white-space: nowrap; }
  td.bad, td.warn { font-weight: 600; }
  code { font: .85em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
  tbody th code { display: block; white-space: nowrap; }
  .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 1rem; margin: .75rem 0; }
  figure { margin: 0; padding: .75rem .9rem .4rem; border: 1px solid var(--edge); border-radius: 6px; background: var(--panel); min-width: 0;
    break-inside: avoid; }
  figcaption { font-size: .87rem; margin-bottom: .4rem; }
  figure svg { display: block; width: 100%; height: auto; color: var(--ink); }
  .legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; }
  .legend i { display: inline-block; width: 1.1rem; height: .25rem; margin-right: .4rem; vertical-align: .2em; border-radius: 2px;
    print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--edge); color: var(--quiet); font-size: .85rem; }
  @page { size: A4; margin: 14mm 13mm 16mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #5c6670; } }
  @media print {
    body { max-width: none; padding: 0; font-size: 9.5pt; }
    h2 { break-before: page; margin-top: 0; padding-top: 0; border-top: 0; }
    h2:first-of-type { break-before: auto; margin-top: 1.5rem; }
    h2, h3, h4 { break-after: avoid; }
    .plots { grid-template-columns: 1fr 1fr; gap: .5rem; }
    figure { padding: .4rem .5rem .2rem; background: none; }
    figcaption { font-size: 7.5pt; }
    .badge { font-size: 7pt; }
    .findings { background: none; border-top: 1px solid var(--edge); border-bottom: 1px solid var(--edge); }
    thead { display: table-header-group; }
    tr, dl { break-inside: avoid; }
    table { font-size: 7pt; }
    th, td { padding: .15rem .35rem .15rem 0; }
    thead th { white-space: normal; }
    td.whole { white-space: normal; }
    tbody th code { display: none; }
    .scroll { overflow: visible; }
  }
`;
