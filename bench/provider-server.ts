/**
 * `node bench/provider-server.ts <port>`: a provider that takes SMS as SMSC.ru does and answers at once; it
 * counts what it took at `GET /count`.
 */
import { createServer } from 'node:http';

const port = Number(process.argv[2] ?? 0);
let messages = 0;
let calls = 0;

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify({ messages, calls }));
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (part: Buffer) => chunks.push(part));
  request.on('end', () => {
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const phones = phonesOf(form);
    calls += 1;
    messages += phones.length;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        id: form.get('id'),
        cnt: phones.length,
        cost: '4.5',
        phones: phones.map((phone) => ({ phone, cost: '4.5', status: 0 })),
      }),
    );
  });
});

/** Of `list`, a line for each number, or of `phones`, separated by commas. */
function phonesOf(form: URLSearchParams): string[] {
  const list = form.get('list');
  const phones =
    list === null
      ? (form.get('phones') ?? '').split(/[,;]/)
      : list.split('\n').map((line) => line.slice(0, line.indexOf(':')));
  return phones.filter((phone) => phone !== '').map((phone) => phone.replace('+', ''));
}

process.once('SIGTERM', () => server.close(() => process.exit(0)));
server.listen(port, '127.0.0.1');
