import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { type PolicyWarning, providerWarning } from '../history/data-region.ts';
import { type ChannelDeps, type ChannelView, listChannels } from './channel-store.ts';

/** Which of a clinic's channels take patients' data out of the region that its country wants. */
export async function regionWarnings(
  deps: Pick<ChannelDeps, 'findAdapter'>,
  trx: Trx,
  clinic: Clinic,
): Promise<PolicyWarning[]> {
  const channels = await listChannels(trx, clinic.id);
  return channels.flatMap((view) =>
    view.enabled ? channelWarnings(deps, clinic, view, `/channels/${view.channel}`) : [],
  );
}

export function channelWarnings(
  { findAdapter }: Pick<ChannelDeps, 'findAdapter'>,
  { country }: Pick<Clinic, 'country'>,
  { channel, provider, options }: Pick<ChannelView, 'channel' | 'provider' | 'options'>,
  pointer = '/provider',
): PolicyWarning[] {
  const config = { credentials: {}, options, callbackUrl: '' };
  const keptIn = findAdapter(channel, provider)?.capabilities(config).dataRegions ?? [];
  const warning = providerWarning(country, provider, keptIn, pointer);
  return warning === null ? [] : [warning];
}
