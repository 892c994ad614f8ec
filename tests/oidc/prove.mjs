// Signs in at a real OpenID Connect provider (npm `oidc-provider`) through a real gate, both on loopback with a
// certificate authority of their own, as a browser would: cookies, redirects, forms. Then is signed out by it.
//
// node tests/oidc/prove.mjs [path of menshen]; needs openssl. Exits with 0 if all of it held.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createServer as createHttp } from 'node:http';
import https from 'node:https';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const menshen = process.argv[2] ?? 'target/debug/menshen';
const dir = mkdtempSync(join(tmpdir(), 'menshen-oidc-'));
const at = (name) => join(dir, name);
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });

function certificates() {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=proof CA');
  for (const host of ['localhost', 'bank.example']) {
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${host}.key`, '-out', `${host}.csr`, '-subj', `/CN=${host}`);
    writeFileSync(at(`${host}.ext`), `subjectAltName=DNS:${host}\n`);
    openssl('x509', '-req', '-in', `${host}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${host}.ext`, '-out', `${host}.pem`);
  }
}

const listening = (server, port = 0) => new Promise((done) => server.listen(port, '127.0.0.1', () => done(server.address().port)));

// The gate's own port must be known to the provider beforehand.
const probe = createHttp();
const gatePort = await listening(probe);
await new Promise((done) => probe.close(done));

certificates();
const ca = readFileSync(at('ca.pem'));

const { default: Provider } = await import('oidc-provider');
const { generateKeyPairSync } = await import('node:crypto');
const provides = https.createServer({ key: readFileSync(at('localhost.key')), cert: readFileSync(at('localhost.pem')) });
const port = await listening(provides);
const issuer = `https://localhost:${port}`;
const gate = `https://bank.example:${gatePort}`;
const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' };
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'gate-client', client_secret: 'a-secret-of-the-proof', redirect_uris: [`${gate}/.menshen/oidc/far/callback`],
    response_types: ['code'], grant_types: ['authorization_code'], id_token_signed_response_alg: 'ES256',
    backchannel_logout_uri: `${gate}/.menshen/oidc/far/logout`, backchannel_logout_session_required: true, require_auth_time: true,
  }],
  jwks: { keys: [jwk] },
  acrValues: ['2', '3'],
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['roles', 'branch'], acr: null, auth_time: null, sid: null, iss: null },
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true },
  cookies: { keys: ['a key of the proof'] },
  fetch: (url, options) => logoutTo(url, options),
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, roles: ['teller'], branch: 'sh01' }) }),
});
provider.proxy = false;
provides.on('request', provider.callback());

// `bank.example` is a name of the proof: it is on loopback.
function request(url, { method = 'GET', headers = {}, body } = {}) {
  const { hostname, port: to, pathname, search } = new URL(url);
  return new Promise((done, fail) => {
    const asked = https.request({ host: '127.0.0.1', port: to, servername: hostname, path: pathname + search, method, ca, headers: { host: `${hostname}:${to}`, ...headers } }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString() }));
    });
    asked.on('error', fail);
    asked.end(body);
  });
}

let logouts = 0;
async function logoutTo(url, options) {
  const answer = await request(String(url), { method: options.method, headers: Object.fromEntries(new Headers(options.headers)), body: String(options.body) });
  logouts += 1;
  return new Response(answer.text, { status: answer.status });
}

class Browser {
  cookies = new Map();

  async go(url, options = {}) {
    const { host } = new URL(url);
    const kept = [...(this.cookies.get(host) ?? new Map())].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', ...(kept && { cookie: kept }), ...options.headers };
    const answer = await request(url, { ...options, headers });
    const jar = this.cookies.get(host) ?? new Map();
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [pair] = line.split(';');
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      if (value) jar.set(name, value); else jar.delete(name);
    }
    this.cookies.set(host, jar);
    return answer;
  }

  /// Follows redirects and fills in the provider's forms until the gate answers with a page.
  async signIn(url, person) {
    let answer = await this.go(url);
    for (let step = 0; step < 20; step += 1) {
      if (answer.status >= 300 && answer.status < 400) {
        url = new URL(answer.headers.location, url).href;
        answer = await this.go(url);
      } else if (url.startsWith(issuer) && answer.text.includes('name="prompt"')) {
        const action = new URL(/<form[^>]*action="([^"]+)"/.exec(answer.text)[1], url).href;
        const prompt = /name="prompt" value="([^"]+)"/.exec(answer.text)[1];
        const body = new URLSearchParams({ prompt, ...(prompt === 'login' && { login: person, password: 'x' }) }).toString();
        url = action;
        answer = await this.go(action, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) } });
      } else {
        return { url, answer };
      }
    }
    throw new Error('led round in circles');
  }
}

const backend = createHttp((_asked, answer) => {
  answer.setHeader('content-type', 'application/json');
  answer.end('{"id":1,"name":"li"}');
});
const backendPort = await listening(backend);
mkdirSync(at('policies'));
writeFileSync(at('policies/policy.yaml'), readFileSync(new URL('../it/harness/open_bank.yaml', import.meta.url)));
writeFileSync(at('secret'), 'a-secret-of-the-proof\n');
writeFileSync(at('menshen.yaml'), `node: gate-1
state: state
log: log
key: master.key
policies: policies
listeners:
  - { zone: business, address: "127.0.0.1:${gatePort}", certificate: bank.example.pem, key: bank.example.key }
upstreams:
  core: { address: "127.0.0.1:${backendPort}", plain: loopback }
issuers:
  - name: far
    issuer: "${issuer}"
    audience: menshen
    keys: "${issuer}/jwks"
    ca: ca.pem
    attributes: { branch: branch }
    sign-in: { client-id: gate-client, client-secret: secret, scopes: [profile] }
`);
execFileSync(menshen, ['key', 'generate', at('master.key')]);
const runs = spawn(menshen, ['run', '--config', at('menshen.yaml')], { stdio: ['ignore', 'ignore', 'pipe'] });
let said = '';
await new Promise((done, fail) => {
  runs.stderr.on('data', (text) => { said += text; if (said.includes('listening')) done(); });
  runs.on('exit', () => fail(new Error(said)));
});

try {
  const browser = new Browser();
  const { url, answer } = await browser.signIn(`${gate}/.menshen/oidc/far?next=%2Fone%2F1`, 'wang');
  assert.equal(answer.status, 200, `${url} ${answer.text} ${said}`);
  assert.ok(url.startsWith(`${gate}/.menshen/oidc/far/callback?`) && url.includes('iss='), url);
  assert.equal(answer.headers.refresh, '0; url=/one/1');
  const session = async () => browser.go(`${gate}/.menshen/session`, { headers: { accept: 'application/json' } });
  const shown = await session();
  assert.equal(shown.status, 200, shown.text);
  assert.equal(JSON.parse(shown.text).account, 'far:wang');
  assert.deepEqual(JSON.parse(shown.text).roles, ['teller']);
  const one = await browser.go(`${gate}/one/1`, { headers: { accept: 'application/json' } });
  assert.deepEqual([one.status, JSON.parse(one.text).id], [200, 1]);
  // The same answer once more.
  const again = await browser.go(url);
  assert.equal(again.status, 401);
  // The person signs out at the provider, which tells the gate.
  const end = await browser.go(`${issuer}/session/end`);
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(end.text)[1];
  const body = new URLSearchParams({ xsrf, logout: 'yes' }).toString();
  await browser.go(`${issuer}/session/end/confirm`, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) } });
  assert.equal(logouts, 1, said);
  assert.equal((await session()).status, 401);
  console.log('signed in at oidc-provider, worked in the session, was signed out by it');
} finally {
  runs.removeAllListeners('exit');
  const ended = new Promise((done) => runs.on('exit', done));
  runs.kill('SIGTERM');
  await Promise.race([ended, new Promise((done) => setTimeout(done, 3000))]);
  backend.close();
  provides.close();
  rmSync(dir, { recursive: true, force: true });
}
process.exit();
