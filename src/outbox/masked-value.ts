/**
 * What we have on file, shown so that its owner knows it again and nobody else learns it: a message may be
 * read by whoever has the phone now.
 */

const stars = '***';
const phoneDigitsShown = 4;

/** `***4567` */
export function maskPhone(phone: string): string {
  return stars + phone.slice(-phoneDigitsShown);
}

/** `a***@e***.com` */
export function maskEmail(email: string): string {
  const [name = '', domain = ''] = email.split('@');
  const end = domain.slice(domain.lastIndexOf('.') + 1);
  return `${maskWord(name)}@${maskWord(domain)}.${end}`;
}

/** `K***` */
export function maskWord(word: string): string {
  const [first = ''] = word;
  return first + stars;
}
