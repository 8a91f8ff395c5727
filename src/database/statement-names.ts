/**
 * Names for the statements that a connection keeps prepared: parsing and planning a hot statement under row
 * level security costs more than running it. The server plans it anew while that pays.
 */

/** What a process writes dynamically, such as audiences, must not fill the server's memory. */
const namedMax = 300;

/** The name of a statement's text, always the same; undefined for texts that come after the room is taken. */
export function createStatementNames(): (text: string) => string | undefined {
  const names = new Map<string, string>();
  const seen = new Set<string>();
  return (text) => {
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
