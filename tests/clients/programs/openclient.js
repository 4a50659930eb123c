// openclient, of the days of Essex: openclient.js TASK SEEN FOLDER.
const path = require('path');
const { caller, ids, report, run, task } = require('./task');

const openclient = require(path.join(process.argv[4], 'node_modules', 'openclient'));

const env = process.env;
const Keystone = openclient.getAPI('openstack', 'identity', '2.0');
const Nova = openclient.getAPI('openstack', 'compute', '1.1');

run(async () => {
  const keystone = new Keystone({ url: env.OS_AUTH_URL });
  await caller(keystone)('authenticate', {
    username: env.OS_USERNAME,
    password: env.OS_PASSWORD,
    project: env.OS_TENANT_NAME,
  });
  const { scoped_token, service_catalog } = keystone;
  const nova = new Nova({ scoped_token, service_catalog, region: env.OS_REGION_NAME });
  const images = caller(nova.images);
  report('brief', { images: await images('all', {}) });
  const shown = [];
  for (const id of task.show) shown.push(await images('get', { id }));
  report('show', { images: shown });
  const error = await images('get', { id: task.unknown }).catch(refusal => refusal);
  report('missing', { error: `${error.status}` });
  await images('del', { id: task.delete });
  report('delete', { left: ids(await images('all', {})) });
});
