// openstack-wrapper, which lists images by Glance and leaves their metadata to Nova:
// openstack_wrapper.js TASK SEEN FOLDER.
const path = require('path');
const { caller, ids, report, run, task } = require('./task');

const wrapper = require(path.join(process.argv[4], 'node_modules', 'openstack-wrapper'));

const env = process.env;

run(async () => {
  const keystone = caller(new wrapper.Keystone(env.OS_AUTH_URL));
  const login = [env.OS_USERNAME, env.OS_PASSWORD];
  const { token } = await keystone('getToken', ...login);
  const scoped = await keystone('getProjectTokenByName', token, 'default', env.OS_PROJECT_NAME);
  const simple = [...login, scoped.project.id, env.OS_AUTH_URL];
  const project = await caller(wrapper)('getSimpleProject', ...simple);
  report('filter', { by: {}, ids: ids(await caller(project.glance)('listImages')) });
  const nova = caller(project.nova);
  const before = await nova('getImageMetaData', task.change);
  const after = await nova('setImageMetaData', task.change, { ...before, ...task.set });
  await nova('setImageMetaData', task.change, before);
  const restored = await nova('getImageMetaData', task.change);
  report('metadata', { before, after_set: after, after_delete: restored });
});
