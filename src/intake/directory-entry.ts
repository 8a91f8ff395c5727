import type { HostId } from '../history/host-id.ts';

/** A practitioner, a location or an organization that the host tells about by itself. */
export interface ReadDirectoryEntry {
  kind: 'practitioner' | 'location' | 'organization';
  key: HostId;
  content: {
    name: string | null;
    time_zone: string | null;
    phone: string | null;
    address: string | null;
  };
}
