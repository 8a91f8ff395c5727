import { fullName, type HumanName, type Reference, tidy } from './elements.ts';

/** What a reference leads to. */
export interface Target {
  /** Absent where only words are given. */
  type: string | null;
  id: string | null;
  name: string | null;
  /** Described inside the resource that refers to it, so known to nobody else. */
  isContained: boolean;
}

export interface RawResource {
  resourceType: string;
  id?: unknown;
  contained?: unknown;
  [name: string]: unknown;
}

/** Resolves references of one Bundle's resources: to each other, to what they contain, or by their URL. */
export interface References {
  resolve(reference: Reference | undefined, from: RawResource): Target | null;
}

export interface Entry {
  fullUrl: string | null;
  resource: RawResource;
}

export function createReferences(entries: readonly Entry[]): References {
  const byUrl = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.fullUrl !== null) byUrl.set(entry.fullUrl, entry);
    const id = resourceId(entry);
    if (id !== null) byUrl.set(`${entry.resource.resourceType}/${id}`, entry);
  }
  return { resolve: (reference, from) => resolve(byUrl, reference, from) };
}

/** The resource's own id, else the one that its URL in the Bundle ends with. */
export function resourceId({ fullUrl, resource }: Entry): string | null {
  if (typeof resource.id === 'string') return resource.id;
  if (fullUrl === null) return null;
  return urnForm.exec(fullUrl)?.[1] ?? urlForm.exec(fullUrl)?.[2] ?? null;
}

const urnForm = /^urn:(?:uuid|oid):(.+)$/;
const urlForm = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[^/]+)?$/;

function resolve(
  byUrl: ReadonlyMap<string, Entry>,
  reference: Reference | undefined,
  from: RawResource,
): Target | null {
  if (reference === undefined) return null;
  const display = tidy(reference.display) ?? null;
  const link = reference.reference;
  if (link === undefined) {
    return display === null
      ? null
      : { type: reference.type ?? null, id: null, name: display, isContained: false };
  }
  if (link.startsWith('#')) return contained(from, link.slice(1), display);
  const url = urlForm.exec(link);
  const entry = byUrl.get(link) ?? (url === null ? undefined : byUrl.get(`${url[1]}/${url[2]}`));
  if (entry !== undefined) {
    const { resourceType } = entry.resource;
    return {
      type: resourceType,
      id: resourceId(entry),
      name: display ?? nameOf(entry.resource),
      isContained: false,
    };
  }
  return {
    type: url?.[1] ?? reference.type ?? null,
    id: url?.[2] ?? null,
    name: display,
    isContained: false,
  };
}

function contained(from: RawResource, id: string, display: string | null): Target | null {
  const inner = Array.isArray(from.contained)
    ? from.contained.filter(isResource).find((one) => one.id === id)
    : undefined;
  if (inner === undefined)
    return display === null ? null : { type: null, id: null, name: display, isContained: true };
  return { type: inner.resourceType, id: null, name: display ?? nameOf(inner), isContained: true };
}

export function isResource(value: unknown): value is RawResource {
  return (
    typeof value === 'object' &&
    value !== null &&
    'resourceType' in value &&
    typeof value.resourceType === 'string'
  );
}

function nameOf(resource: RawResource): string | null {
  const { name } = resource;
  if (typeof name === 'string') return tidy(name, 300) ?? null;
  const [first] = Array.isArray(name) ? name : [];
  return isName(first) ? (fullName(first) ?? null) : null;
}

function isName(value: unknown): value is HumanName {
  if (typeof value !== 'object' || value === null) return false;
  const name = value as Record<string, unknown>;
  const isText = (part: unknown) => part === undefined || part === null || typeof part === 'string';
  const isTexts = (part: unknown) =>
    part === undefined || (Array.isArray(part) && part.every(isText));
  return isText(name.family) && isText(name.text) && isTexts(name.given) && isTexts(name.prefix);
}
