# fog's OpenStack compute.
require 'json'
require 'fog/openstack'

TASK = JSON.parse(File.read(ARGV[0]))
FIELDS = %w[id name status progress minDisk minRam links].freeze

def report(step, **seen)
  File.open(ARGV[1], 'a') { |file| file.puts(JSON.generate(step: step, **seen)) }
end

def image(found)
  fields = FIELDS.to_h { |field| [field, found.send(field)] }
  metadata = found.metadata.to_a.to_h { |item| [item.key, item.value] }
  fields.merge('created' => found.created_at, 'updated' => found.updated_at, 'metadata' => metadata)
end

compute = Fog::OpenStack::Compute.new(
  openstack_auth_url: ENV.fetch('OS_AUTH_URL').sub(%r{/v[0-9.]+$}, ''),
  openstack_username: ENV.fetch('OS_USERNAME'),
  openstack_api_key: ENV.fetch('OS_PASSWORD'),
  openstack_project_name: ENV.fetch('OS_PROJECT_NAME'),
  openstack_domain_name: ENV.fetch('OS_USER_DOMAIN_NAME'),
  openstack_region: ENV.fetch('OS_REGION_NAME')
)
metadata = -> { compute.list_metadata('images', TASK['change']).body['metadata'] }

report('list', images: compute.images.all.map { |found| image(found) })
report('brief', images: compute.list_images.body['images'].map { |i| i.slice('id', 'name', 'links') })
[{ 'status' => 'ACTIVE' }, { 'name' => TASK['name'] }].each do |query|
  report('filter', by: query, ids: compute.images.all(query).map(&:id))
end
report('show', images: TASK['show'].map { |id| image(compute.images.get(id)) })
report('missing', error: compute.images.get(TASK['unknown']).inspect)
before = metadata.call
compute.update_metadata('images', TASK['change'], TASK['set'])
after_set = metadata.call
TASK['set'].each_key { |key| compute.delete_meta('images', TASK['change'], key) }
report('metadata', before: before, after_set: after_set, after_delete: metadata.call)
compute.images.get(TASK['delete']).destroy
report('delete', left: compute.images.all.map(&:id))
