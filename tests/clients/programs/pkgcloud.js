// pkgcloud's OpenStack compute client: pkgcloud.js TASK SEEN FOLDER [v3].
// FOLDER is where npm installed it.
const path = require('path');
const { caller, ids, report, run, task } = require('./task');

const [folder, version] = process.argv.slice(4);
const pkgcloud = require(path.join(folder, 'node_modules', 'pkgcloud'));

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
const call = caller(client);
const plain = image => (image.toJSON ? image.toJSON() : image); // releases before 1.0 have none

async function missing() {
  try {
    await call('getImage', task.unknown);
  } catch (error) {
    return `${error.statusCode}: ${JSON.stringify(error.result)}`;
  }
  return 'none';
}

run(async () => {
  report('list', { images: (await call('getImages')).map(plain) });
  const shown = [];
  for (const id of task.show) shown.push(plain(await call('getImage', id)));
  report('show', { images: shown });
  report('missing', { error: await missing() });
  report('version', { version: [].concat(await call('getVersion'))[0] });
  if (client.updateImageMeta) {
    const { metadata } = await call('updateImageMeta', task.change, task.set);
    report('metadata', { after_set: metadata });
  }
  await call('destroyImage', task.delete);
  report('delete', { left: ids(await call('getImages')) });
});
