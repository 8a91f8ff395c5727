import t from 'tap';
import {
  fromBinaryCloudEvent,
  fromStructuredCloudEvent,
  isBinaryCloudEvent,
} from '../../src/intake/cloud-event.ts';

const now = '2026-03-28T12:00:00Z';
const headers = {
  'ce-specversion': '1.0',
  'ce-id': '1234',
  'ce-source': '/mycontext/%C3%B1',
  'ce-type': 'visit.upserted',
  'ce-time': '2026-03-01T10:00:00Z',
};

t.test('a binary event is known by its source and id', async (t) => {
  t.ok(isBinaryCloudEvent(headers));
  t.notOk(isBinaryCloudEvent({ 'content-type': 'application/json' }));
  t.same(fromBinaryCloudEvent(headers, { id: 'v-1' }, now), {
    id: 'ce:/mycontext/ñ 1234',
    type: 'visit.upserted',
    occurredAt: '2026-03-01T10:00:00Z',
    data: { id: 'v-1' },
  });
});

t.test('a structured event carries the same in its body', async (t) => {
  const body = {
    specversion: '1.0',
    id: '1',
    source: 'ehr',
    type: 'x-survey',
    data: { patientId: '1' },
    datacontenttype: 'application/json',
  };
  t.same(fromStructuredCloudEvent(body, now), {
    id: 'ce:ehr 1',
    type: 'x-survey',
    occurredAt: now,
    data: { patientId: '1' },
  });
});

t.test('a type that is none of ours is refused by a stable code', async (t) => {
  t.throws(
    () =>
      fromBinaryCloudEvent({ ...headers, 'ce-type': 'com.example.appointment.updated' }, {}, now),
    {
      code: 'unprocessable',
      faults: [{ pointer: '/headers/ce-type', code: 'unknown-type' }],
    },
  );
});

t.test('a missing or wrong attribute is pointed at', async (t) => {
  const { 'ce-id': _id, ...without } = headers;
  t.throws(() => fromBinaryCloudEvent(without, {}, now), {
    code: 'validation',
    faults: [{ pointer: '/headers/ce-id', code: 'missing' }],
  });
  for (const [body, pointer] of [
    [{ specversion: '0.3', id: '1', source: 's', type: 'x-a' }, '/specversion'],
    [{ specversion: '1.0', id: 1, source: 's', type: 'x-a' }, '/id'],
    [{ specversion: '1.0', id: '1', source: 's' }, '/type'],
    [[], ''],
    [null, ''],
  ] as const) {
    t.throws(() => fromStructuredCloudEvent(body, now), {
      code: 'validation',
      faults: [{ pointer }],
    });
  }
});
