/** What all ways of sending e-mail have in common. */

export const senderPattern = '^([^<>\\r\\n]*<[^<>@\\s]+@[^<>@\\s]+>|[^<>@\\s]+@[^<>@\\s]+)$';
export const mailAddressPattern = '^[^<>@\\s]+@[^<>@\\s]+$';

/** Reads `Clinic <a@b>` or `a@b`. */
export function parseSender(sender: string): { email: string; name?: string } {
  const [, name, email] = /^([^<]*)<([^>]+)>$/.exec(sender) ?? [];
  if (email === undefined) return { email: sender };
  const plain = (name ?? '').trim().replace(/^"(.*)"$/, '$1');
  return plain === '' ? { email } : { email, name: plain };
}

const subjectCharactersMax = 200;

/** Servers refuse or distrust a mail without a subject; the first line of the text is the next best. */
export function subjectOf({ subject, text }: { subject?: string; text: string }): string {
  const line = (subject ?? text).trim().split(/[\r\n]/, 1)[0] ?? '';
  return line.slice(0, subjectCharactersMax).toWellFormed() || '-';
}

/** RFC 8058: a mail program shows its own button, which posts to the link. */
export function unsubscribeHeaders(url: string | undefined): Record<string, string> {
  if (url === undefined) return {};
  return {
    'List-Unsubscribe': `<${url}>`,
    'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
  };
}
