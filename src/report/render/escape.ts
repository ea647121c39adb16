/** Text made safe for where it goes. Names come from users' files and may hold anything. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** For HTML and XML, in text and in quoted attributes; control characters, which XML forbids, become blanks. */
export function escapeXml(text: string): string {
  return text.replace(/[^\P{Cc}\t\n\r]|[\ufffe\uffff]/gu, ' ').replace(/[&<>"']/g, (c) => ENTITIES[c]!);
}

/** JSON inside a script element: no `<` can end the element or open a comment. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replace(/</g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');
}

/** For a cell of a Markdown table. */
export function markdownCell(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/([\\`*_[\]<>|])/g, '\\$1');
}

/** Keeps a number and its unit on one line. */
export function unbroken(sentence: string): string {
  return sentence.replace(/(\d) (?=[a-zA-Zµ%])/g, '$1\u00a0');
}
