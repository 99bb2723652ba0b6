import { expect, test } from 'vitest';
import type { Box } from '../api/client';
import { inBounds, asEndpoint, readSettings } from '../features/settings/settings';
import { byPassword } from '../features/signin/pass';
import { box } from '../testing/server';
import { ago, bytes, costPerLetter, healthLine, hoursOf, plainName, stateOf } from './words';

test('bytes are told in thousands', () => {
  expect([0, 999, 1500, 15_000, 2_340_000, 3e9].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '15 kB', '2.3 MB', '3.0 GB']);
});

test('a letter costs what its bytes cost', () => {
  const { traffic } = box('a.test');
  expect(costPerLetter(traffic, { perMb: 0, currency: 'FC' })).toBe('2.0 kB');
  expect(costPerLetter(traffic, { perMb: 1000, currency: 'FC' })).toBe('2.0 FC (2.0 kB)');
  expect(costPerLetter({ ...traffic, letters_up: 0, letters_down: 0 }, { perMb: 5, currency: 'FC' })).toBe('');
});

test('times are told as one thinks of nights', () => {
  const now = Date.parse('2026-03-10T12:00:00Z');
  expect(ago(null, now)).toBe('never');
  expect(ago('2026-03-10T11:59:30Z', now)).toBe('just now');
  expect(ago('2026-03-10T02:00:00Z', now)).toBe('10 hours ago');
  expect(ago('2026-03-01T02:00:00Z', now)).toBe('9 days ago');
});

test('silence is worse than what a box says of itself', () => {
  expect(stateOf(box('a.test', { nights_missed: 1, health: { clock: true } }))).toEqual({ tone: 'bad', words: 'silent for 1 night' });
  expect(stateOf(box('a.test', { health: { clock: true } })).words).toBe('its clock has gone back');
  expect(stateOf(box('a.test', { state: 'removed', nights_missed: 9 })).tone).toBe('plain');
  expect(stateOf(box('a.test', { state: 'given-up' }))).toEqual({ tone: 'bad', words: 'could not be made ready' });
});

test('settings that make no sense are not taken', () => {
  expect([0, 61, 2.6, Number.NaN].map(inBounds)).toEqual([1, 60, 3, 10]);
  expect(['https://a.test/', 'http://localhost:8080', 'https://a.test/lokole/'].map(asEndpoint)).toEqual(['https://a.test', 'http://localhost:8080', 'https://a.test/lokole']);
  expect(['javascript:alert(1)', 'a.test', 'https://u:p@a.test'].map(asEndpoint)).toEqual([undefined, undefined, undefined]);
  localStorage.setItem('lokole-status-settings', '{"endpoint": 7, "pingSeconds": "x", "view": "moon"');
  expect(readSettings('http://given.test')).toMatchObject({ endpoint: 'http://given.test', pingSeconds: 10, view: 'table' });
});

test('names and passwords in any script are sent', () => {
  expect(byPassword('jérôme', 'mbɔ́tɛ')).toBe(`Basic ${Buffer.from('jérôme:mbɔ́tɛ').toString('base64')}`);
});

test('the hours of a box are told in words, and what is not hours as it is', () => {
  const told = (health: Box['health']) => hoursOf(box('a.test', { health }));
  expect(told({ leaves: '0 2 * * *' })).toBe('every day at 02:00 (UTC)');
  expect(told({ leaves: '0 2,14 * * 1,4,7', zone: 'Africa/Kinshasa' })).toBe('Mondays, Thursdays, Sundays at 02:00, 14:00 (Africa/Kinshasa)');
  expect(told({ leaves: '*/20 2 1 * *' })).toBe('by “*/20 2 1 * *” (UTC)');
  expect([told({}), told({ leaves: 7 })]).toEqual(['', '']);
  expect(healthLine(box('a.test', { health: { version: '1.2', leaves: '0 2 * * *', zone: 'UTC' } }))).toBe('version 1.2');
});

test('a login at GitHub is written as its owner writes it', () => {
  expect(['github:octocat', 'operator', 'my-github:x'].map(plainName)).toEqual(['octocat', 'operator', 'my-github:x']);
});
