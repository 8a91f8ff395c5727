import { parseArgs } from 'node:util';
import { startSendgridSimulator } from './sendgrid.ts';
import { startSmscSimulator } from './smsc.ts';
import { startSmtpSimulator } from './smtp.ts';
import { startTelegramSimulator } from './telegram.ts';
import { startTwilioSimulator } from './twilio.ts';
import { startWebhookSimulator } from './webhook.ts';
import { startWhatsappSimulator } from './whatsapp.ts';

/** `node test/simulators/main.ts`: all of these on the loopback, until a signal ends them. */

const { values } = parseArgs({
  options: {
    'smsc-port': { type: 'string', default: '9101' },
    'sendgrid-port': { type: 'string', default: '9102' },
    'webhook-port': { type: 'string', default: '9103' },
    'smtp-port': { type: 'string', default: '9104' },
    'whatsapp-port': { type: 'string', default: '9105' },
    'twilio-port': { type: 'string', default: '9106' },
    'telegram-port': { type: 'string', default: '9107' },
    /** Signs what WhatsApp calls back. */
    'whatsapp-app-secret': { type: 'string', default: 'app-secret' },
    'twilio-auth-token': { type: 'string', default: 'auth-token' },
    /** What the receiver of webhooks checks signatures with; without it all are believed. */
    'webhook-secret': { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** Without the limits on how often something may be asked. */
    unlimited: { type: 'boolean', default: false },
  },
});

const common = { seed: Number(values.seed), limits: !values.unlimited };
const smsc = await startSmscSimulator({ ...common, port: Number(values['smsc-port']) });
const sendgrid = await startSendgridSimulator({ ...common, port: Number(values['sendgrid-port']) });
const secret = values['webhook-secret'];
const webhook = await startWebhookSimulator({
  ...{ ...common, port: Number(values['webhook-port']) },
  ...(secret !== undefined && { secrets: [secret] }),
});
const smtp = await startSmtpSimulator({ port: Number(values['smtp-port']) });
const whatsapp = await startWhatsappSimulator({
  ...{ ...common, port: Number(values['whatsapp-port']) },
  appSecret: values['whatsapp-app-secret'],
});
const twilio = await startTwilioSimulator({
  ...{ ...common, port: Number(values['twilio-port']) },
  authToken: values['twilio-auth-token'],
});
const telegram = await startTelegramSimulator({ ...common, port: Number(values['telegram-port']) });

process.stdout.write(
  `${JSON.stringify({
    smsc: { url: smsc.url, messages: `${smsc.url}/__sim/smsc/messages` },
    sendgrid: {
      url: sendgrid.url,
      messages: `${sendgrid.url}/__sim/sendgrid/messages`,
      publicKey: sendgrid.publicKey,
    },
    webhook: {
      url: webhook.url,
      messages: new URL('/__sim/webhook/messages', webhook.url).href,
    },
    smtp: { url: `smtp://${smtp.host}:${smtp.port}` },
    whatsapp: { url: whatsapp.url, messages: `${whatsapp.url}/__sim/whatsapp/messages` },
    twilio: { url: twilio.url, messages: `${twilio.url}/__sim/twilio/messages` },
    telegram: { url: telegram.url, messages: `${telegram.url}/__sim/telegram/messages` },
  })}\n`,
);

const stop = () => {
  const all = [smsc, sendgrid, webhook, smtp, whatsapp, twilio, telegram];
  void Promise.all(all.map((each) => each.close())).then(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
