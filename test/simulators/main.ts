import { parseArgs } from 'node:util';
import { startSendgridSimulator } from './sendgrid.ts';
import { startSmscSimulator } from './smsc.ts';

/** `node test/simulators/main.ts`: both providers on the loopback, until a signal ends them. */

const { values } = parseArgs({
  options: {
    'smsc-port': { type: 'string', default: '9101' },
    'sendgrid-port': { type: 'string', default: '9102' },
    seed: { type: 'string', default: '1' },
    /** Without the limits on how often something may be asked. */
    unlimited: { type: 'boolean', default: false },
  },
});

const common = { seed: Number(values.seed), limits: !values.unlimited };
const smsc = await startSmscSimulator({ ...common, port: Number(values['smsc-port']) });
const sendgrid = await startSendgridSimulator({ ...common, port: Number(values['sendgrid-port']) });

process.stdout.write(
  `${JSON.stringify({
    smsc: { url: smsc.url, messages: `${smsc.url}/__sim/smsc/messages` },
    sendgrid: {
      url: sendgrid.url,
      messages: `${sendgrid.url}/__sim/sendgrid/messages`,
      publicKey: sendgrid.publicKey,
    },
  })}\n`,
);

const stop = () => {
  void Promise.all([smsc.close(), sendgrid.close()]).then(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
