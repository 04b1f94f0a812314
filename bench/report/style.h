/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* style.h: how the page looks, on paper of either kind and of any width. */
#ifndef RBX_REPORT_STYLE_H
#define RBX_REPORT_STYLE_H

namespace report
{

constexpr char style[] = R"(
:root {color-scheme: light dark; --paper: #ffffff; --text: #1f2328; --quiet: #59636e;
  --line: #d6dce2; --shade: #f5f7f9; --good: #0a5c8f; --bad: #b34a00; --warn: #fff1e5}
@media (prefers-color-scheme: dark) {
  :root {--paper: #0d1117; --text: #e6edf3; --quiet: #9aa5b1; --line: #343b43; --shade: #161b22;
    --good: #6cc1f5; --bad: #ff9d5c; --warn: #3a2412}}
* {box-sizing: border-box}
body {margin: 0; background: var(--paper); color: var(--text);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif}
main {max-width: 808px; margin: 0 auto; padding: 24px}
h1 {font-size: 1.7em; line-height: 1.2; margin: 0 0 4px}
h2 {font-size: 1.3em; line-height: 1.3; margin: 48px 0 8px; padding-top: 16px;
  border-top: 1px solid var(--line)}
p, dd, li {max-width: 68ch; overflow-wrap: anywhere}
a {color: var(--good)}
code {background: var(--shade); padding: 1px 5px; border-radius: 4px}
.note, .under {color: var(--quiet); font-size: .875em}
.banner {background: var(--warn); border-left: 5px solid var(--bad); padding: 10px 16px}
nav ul {list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0}
dl.facts {display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px;
  background: var(--shade); padding: 14px 16px; border-radius: 8px}
dl.facts dt {color: var(--quiet)}
dl.facts dd {margin: 0}
figure {margin: 20px 0}
.plot {display: block; width: 100%; height: auto}
.narrow {display: none}
.scroll {overflow-x: auto; margin: 12px 0}
.scroll:focus-visible {outline: 2px solid var(--good)}
table {border-collapse: collapse; font-size: .8125em; font-variant-numeric: tabular-nums}
caption {text-align: left; color: var(--quiet); padding-bottom: 4px}
th, td {text-align: left; vertical-align: baseline; padding: 3px 14px 3px 0;
  border-bottom: 1px solid var(--line)}
thead th {vertical-align: bottom; color: var(--quiet); font-weight: 500; min-width: 4.5em}
tbody th {font-weight: 400; min-width: 9em}
tbody th, thead th:first-child {position: sticky; left: 0; background: var(--paper)}
td.n {white-space: nowrap}
td small {color: var(--quiet); display: block}
td.best {font-weight: 700}
td.best small {font-weight: 400}
td.few {color: var(--quiet)}
.good {color: var(--good); font-weight: 600; white-space: nowrap}
.bad {color: var(--bad); font-weight: 700; white-space: nowrap}
summary {cursor: pointer; color: var(--good)}
@media (max-width: 600px) {
  main {padding: 16px 12px}
  .wide {display: none}
  .narrow {display: block}
  dl.facts {grid-template-columns: 1fr; gap: 0}
  dl.facts dd {margin-bottom: 8px}}
@media print {details:not([open]) {display: none}}
)";

} // namespace report

#endif
