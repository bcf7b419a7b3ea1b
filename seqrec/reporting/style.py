"""The style of the page: system fonts, one column for text, colours for light, dark and print; it loads nothing."""

STYLE = """
:root { color-scheme: light dark;
  --ink: #1c2126; --paper: #ffffff; --muted: #545d66; --line: #d5dade; --shade: #f3f5f7; --note: #fff4d6; --note-line: #c98a00;
  --s0: #1f5fa8; --s1: #b4471f; --s2: #2f7d4f; --link: #1f5fa8; }
@media screen and (prefers-color-scheme: dark) { :root {
  --ink: #e4e8ec; --paper: #15191d; --muted: #a3adb7; --line: #3a424a; --shade: #1f252b; --note: #3a2f10; --note-line: #e0a93b;
  --s0: #7db4f0; --s1: #f09a72; --s2: #7ccf9d; --link: #8fc0f5; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
main, header, nav, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
p, ul, ol, dl { margin: .6rem 0; }
p, main > section > ul { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; }
.small, footer { color: var(--muted); font-size: .88rem; }
.note { background: var(--note); border-left: 4px solid var(--note-line); padding: .6rem .9rem; max-width: none; }
.note ul { margin: .25rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
nav ol { columns: 14rem; column-gap: 2rem; padding-left: 1.4rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.5rem), 1fr)); gap: .75rem 1.25rem; }
dt { color: var(--muted); font-size: .85rem; }
dd { margin: 0; font-size: 1.1rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: .35rem; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } tbody th { font-weight: 400; }
th:first-child { min-width: 8rem; max-width: 24rem; overflow-wrap: break-word; }
th.number, td.number { text-align: right; padding: .3rem 0 .3rem .9rem; }
td.number, .nowrap { white-space: nowrap; }
thead th.number { max-width: 13rem; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
.span { color: var(--muted); font-size: .85em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.5rem 2rem; margin: 1.25rem 0; }
figure { margin: 0; max-width: 34rem; min-width: 0; break-inside: avoid; }
figcaption strong { display: block; } figcaption span { color: var(--muted); font-size: .88rem; }
figcaption .key { display: inline-block; margin: .25rem 1rem 0 0; color: var(--ink); }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .4em; background: var(--series); }
svg { display: block; width: 100%; height: auto; margin-top: .5rem; }
svg text { fill: var(--muted); font-size: 12px; }
@media (max-width: 30rem) { svg text { font-size: 14.5px; } }
svg text.axis { fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; }
.series-0 { --series: var(--s0); } .series-1 { --series: var(--s1); } .series-2 { --series: var(--s2); }
.line { fill: none; stroke: var(--series); stroke-width: 2; } .dot, .bar { fill: var(--series); }
.dot.best { stroke: var(--paper); stroke-width: 1.5; }
line.span { stroke: var(--series); stroke-width: 3; stroke-linecap: round; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; margin: 1rem 0; }
.card { background: var(--shade); border-radius: .4rem; padding: .8rem 1rem; break-inside: avoid; min-width: 0; }
.card h3 { margin: 0 0 .2rem; }
.card .lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); gap: .5rem 1.25rem; }
.card h4 { font-size: .85rem; color: var(--muted); font-weight: 600; margin: .4rem 0 0; }
.card ol, .card ul { margin: .2rem 0; padding-left: 1.5rem; font-size: .92rem; } .card ul { list-style: none; padding: 0; }
.card li { overflow-wrap: anywhere; }
.new { font-weight: 600; }
details { margin: .75rem 0; } summary { cursor: pointer; color: var(--link); }
footer { padding: 2rem 1.25rem 3rem; overflow-wrap: anywhere; }
@media print { @page { margin: 16mm; } html { font-size: 10pt; } main, header, nav, footer { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } tr { break-inside: avoid; } .scroll { overflow: visible; } table { font-size: 8.5pt; }
  th, td, th.number, td.number, th:first-child, .nowrap { white-space: normal; overflow-wrap: anywhere; }
  th:first-child, thead th.number { min-width: 0; max-width: none; }
  th, td, th.number, td.number { padding: .2rem .4rem .2rem 0; }
  .card { border: 1px solid var(--line); }
  .charts { grid-template-columns: 1fr 1fr; } a { color: inherit; text-decoration: none; } }
"""
