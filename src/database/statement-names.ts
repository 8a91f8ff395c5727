/**
 * Names for the statements that a connection keeps prepared: parsing and planning a hot statement under row
 * level security costs more than running it. The server plans it anew while that pays. Statements over many
 * rows get no name: planning is little beside running them, and a plan that knows nothing of the number of
 * rows made the import of a history a third slower.
 */

/** What a process writes dynamically, such as audiences, must not fill the server's memory. */
const namedMax = 300;

/** A parameter of more items is of many rows. */
export const fewItems = 100;
/** Stands in the text of a statement whose rows come as one literal, which shows not how many they are. */
export const manyRows = '/* many rows */';
const longestText = 65_536;

/** Names a statement by its text, always the same; undefined where it is to be planned for these values alone. */
export type StatementNames = (text: string, values: readonly unknown[]) => string | undefined;

export function createStatementNames(): StatementNames {
  const names = new Map<string, string>();
  const seen = new Set<string>();
  return (text, values) => {
    if (values.length === 0 || text.includes(manyRows) || values.some(isLong)) return undefined;
    const known = names.get(text);
    if (known !== undefined) return known;
    // Only what comes again is worth a name.
    if (!seen.has(text)) {
      if (seen.size >= seenMax) seen.clear();
      seen.add(text);
      return undefined;
    }
    if (names.size >= namedMax) return undefined;
    const name = `s${names.size + 1}`;
    names.set(text, name);
    return name;
  };
}

const seenMax = 2_000;

function isLong(value: unknown): boolean {
  if (typeof value === 'string') return value.length > longestText;
  return Array.isArray(value) && value.length > fewItems;
}
