/** The style of pages: dark on light, one column, made to be printed too. */
import { INK, MUTED, RULE } from '../palette.js';

export const STYLE = `
:root{--ink:${INK};--muted:${MUTED};--rule:${RULE};--accent:#0072B2;--soft:#f6f8fa}
*{box-sizing:border-box}
html{color-scheme:light}
body{margin:0;background:#fff;color:var(--ink);font:15px/1.55 Inter,Helvetica,Arial,sans-serif;font-feature-settings:"tnum","cv11"}
main{max-width:980px;margin:0 auto;padding:40px 32px 64px}
h1{font-size:27px;line-height:1.25;letter-spacing:-.015em;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;letter-spacing:-.01em;margin:48px 0 4px;overflow-wrap:anywhere}
h3{font-size:14px;margin:20px 0 6px;overflow-wrap:anywhere}
p{margin:6px 0}
.meta{margin-bottom:18px}
.meta,.caption{color:var(--muted);font-size:13px;max-width:76ch}
.verdict{border-left:4px solid var(--accent);background:var(--soft);padding:14px 20px 16px;margin:22px 0 0;border-radius:0 6px 6px 0}
.verdict .label{color:var(--muted);font-size:12.5px;font-weight:600;overflow-wrap:anywhere}
.verdict .headline{font-size:20px;font-weight:600;letter-spacing:-.01em;line-height:1.35}
.verdict p{max-width:78ch;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));border:1px solid var(--rule);border-radius:6px;overflow:hidden;margin:22px 0 0}
.figures div{padding:12px 16px;margin:0 -1px -1px 0;border-right:1px solid var(--rule);border-bottom:1px solid var(--rule)}
.figures dt{color:var(--muted);font-size:12.5px}
.figures dd{margin:0;font-size:21px;font-weight:600;letter-spacing:-.01em;white-space:nowrap}
.figures dd small{font-size:13px;font-weight:400;color:var(--muted);letter-spacing:0}
.warnings{border-left:4px solid #D55E00;background:#fff6ef;padding:10px 20px;margin:22px 0 0;border-radius:0 6px 6px 0}
.warnings ul{margin:4px 0;padding-left:20px}
.chart{margin:14px 0 4px;overflow-x:auto}
.chart svg{font-feature-settings:normal;max-width:100%;height:auto;display:block}
.notes{font-size:13.5px;line-height:1.5;max-width:84ch;padding-left:20px;margin:8px 0}
.controls{font-size:13px;color:var(--muted);margin:2px 0 8px}
.controls label{font-size:13px;color:var(--ink);margin:0 10px 0 2px}
.controls input{accent-color:var(--accent);vertical-align:-1px}
h2.run{border-top:1px solid var(--rule);padding-top:22px;margin-bottom:-28px}
details.run{border-top:1px solid var(--rule);padding:6px 0;margin:0}
details.run>summary{font-size:14px;font-weight:600;color:var(--ink)}
details{margin:6px 0}
summary{cursor:pointer;color:var(--accent);font-size:13px;padding:4px 0}
.scroll{overflow-x:auto;margin:0 0 10px}
section .scroll:first-child{margin-top:14px}
table{border-collapse:collapse;font-size:12.5px;line-height:1.4;min-width:50%}
th,td{padding:5px 12px 5px 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
th{color:var(--muted);font-weight:600;white-space:nowrap;border-bottom-color:#8c959f;position:sticky;top:0;background:#fff}
th[data-sort]{cursor:pointer}
th[aria-sort=ascending]::after{content:" \\2191"}
th[aria-sort=descending]::after{content:" \\2193"}
th.r,td.r{text-align:right;white-space:nowrap;padding-left:8px}
td{white-space:nowrap}
td.wrap{white-space:normal;overflow-wrap:break-word;min-width:24em;max-width:60ch;color:var(--muted)}
pre{background:var(--soft);border:1px solid var(--rule);border-radius:6px;padding:12px 16px;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin-top:48px;border-top:1px solid var(--rule);padding-top:12px;color:var(--muted);font-size:12.5px}
#tip{position:fixed;z-index:9;pointer-events:none;background:#fff;border:1px solid #8c959f;border-radius:6px;box-shadow:0 4px 16px rgba(27,31,36,.16);padding:8px 12px;font-size:12.5px;line-height:1.45;max-width:420px;display:none}
#tip table{min-width:0}
#tip td{border:0;padding:1px 0}
#tip td:first-child{color:var(--muted);padding-right:12px;white-space:nowrap}
@media (max-width:640px){main{padding:24px 16px}}
@media print{
  main{max-width:none;padding:0}
  body{font-size:11pt}
  h2,h3{break-after:avoid}
  .chart,.verdict,.figures,tr{break-inside:avoid}
  .controls,summary{display:none}
  .scroll{overflow:visible}
  table{font-size:8pt}
  th{position:static}
}
`;
