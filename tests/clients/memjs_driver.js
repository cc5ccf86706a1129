// memjs: binary, with and without SASL. driver.py says what a driver speaks.
'use strict';

const memjs = require('memjs');
const readline = require('readline');

const [port, , username, password] = process.argv.slice(2);
const client = memjs.Client.create(`127.0.0.1:${port}`, {
  username, password, timeout: 30, retries: 1, logger: { log: () => {} },
});

const yesOr = (isDone, otherwise) => [isDone ? 'yes' : otherwise];

const store = async (name, key, value, exptime) =>
  yesOr(await client[name](key, value, { expires: Number(exptime) >>> 0 }), 'no');

// The library throws when there is nothing to append to, unlike when there is nothing to replace.
const append = async (key, value) => {
  try {
    return yesOr(await client.append(key, value), 'no');
  } catch (error) {
    if (error.message.endsWith('Item not stored')) return ['no'];
    throw error;
  }
};

const count = async (name, key, delta, initial) => {
  const counted = await client[name](key, Number(delta), { initial: Number(initial) });
  return ['number', String(counted.value)];
};

// Its prepend appends: in 1.3.2 it sends the other's opcode.
const operations = {
  ping: () => ['yes'],
  get: async (key) => {
    const { value } = await client.get(key);
    return value === null ? ['missing'] : ['value', value];
  },
  set: (...words) => store('set', ...words),
  add: (...words) => store('add', ...words),
  replace: (...words) => store('replace', ...words),
  append,
  delete: async (key) => yesOr(await client.delete(key), 'missing'),
  touch: async (key, exptime) => yesOr(await client.touch(key, Number(exptime)), 'missing'),
  incr_from: (key, delta, initial) => count('increment', key, delta, initial),
  flush: async () =>
    yesOr(Object.values(await client.flush()).every((done) => done === true), 'no'),
  stats: (group) => new Promise((resolve, reject) => {
    client.statsWithKey(String(group || ''), (error, server, stats) =>
      error ? reject(error) : resolve(['values', ...Object.entries(stats).flat()]));
  }),
};

const answer = async (name, words) => {
  if (!(name in operations)) return ['lacks'];
  try {
    return await operations[name](...words);
  } catch (error) {
    return ['error', String(error && error.message || error)];
  }
};

const encode = (word) => Buffer.from(word).toString('base64') || '-';
const decode = (word) => (word === '-' ? Buffer.alloc(0) : Buffer.from(word, 'base64'));

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ');
    const decoded = words.map(decode);
    if (decoded.length > 0) decoded[0] = decoded[0].toString();  // The key.
    const [kind, ...results] = await answer(name, decoded);
    process.stdout.write([kind, ...results.map(encode)].join(' ') + '\n');
  }
  client.close();
})();
