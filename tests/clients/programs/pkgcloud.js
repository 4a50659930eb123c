// pkgcloud's OpenStack compute client: pkgcloud.js TASK SEEN FOLDER [v3].
// FOLDER is where npm installed it.
const fs = require('fs');
const path = require('path');

const [taskFile, seenFile, folder, version] = process.argv.slice(2);
const pkgcloud = require(path.join(folder, 'node_modules', 'pkgcloud'));
const task = JSON.parse(fs.readFileSync(taskFile));
const report = (step, seen) =>
  fs.appendFileSync(seenFile, JSON.stringify({ step, ...seen }) + '\n');

const env = process.env;
const v3 = { keystoneAuthVersion: 'v3', domainId: 'default', projectDomainId: 'default' };
const client = pkgcloud.compute.createClient({
  provider: 'openstack',
  authUrl: env.OS_AUTH_URL.replace(/\/v[0-9.]+$/, ''),
  username: env.OS_USERNAME,
  password: env.OS_PASSWORD,
  tenantName: env.OS_PROJECT_NAME || env.OS_TENANT_NAME,
  region: env.OS_REGION_NAME,
  ...(version === 'v3' ? v3 : {}),
});
const call = (method, ...args) =>
  new Promise((resolve, reject) =>
    client[method](...args, (error, result) => (error ? reject(error) : resolve(result))));
const ids = images => images.map(image => image.id);

async function missing() {
  try {
    await call('getImage', task.unknown);
  } catch (error) {
    return `${error.statusCode}: ${JSON.stringify(error.result)}`;
  }
  return 'none';
}

async function main() {
  report('list', { images: (await call('getImages')).map(image => image.toJSON()) });
  const shown = [];
  for (const id of task.show) shown.push((await call('getImage', id)).toJSON());
  report('show', { images: shown });
  report('missing', { error: await missing() });
  report('version', { version: [].concat(await call('getVersion'))[0] });
  const { metadata } = await call('updateImageMeta', task.change, task.set);
  report('metadata', { after_set: metadata });
  await call('destroyImage', task.delete);
  report('delete', { left: ids(await call('getImages')) });
}

main().then(() => process.exit(0), error => {
  console.error(error, JSON.stringify(error));
  process.exit(1);
});
