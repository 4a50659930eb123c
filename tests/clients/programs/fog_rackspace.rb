# fog's Rackspace compute: it logs in with an API key, looks for the catalog's cloudServersOpenStack,
# and asks for ?format=json.
require 'json'
require 'fog/rackspace'

TASK = JSON.parse(File.read(ARGV[0]))
FIELDS = %w[id name created updated minDisk minRam progress links].freeze

def report(step, **seen)
  File.open(ARGV[1], 'a') { |file| file.puts(JSON.generate(step: step, **seen)) }
end

def image(found)
  fields = FIELDS.to_h { |field| [field, found.send(field)] }
  metadata = found.metadata.to_a.to_h { |item| [item.key, item.value] }
  fields.merge('status' => found.state, 'metadata' => metadata)
end

# Page by the last id, until nothing comes.
def pages(compute, size)
  ids = []
  calls = 0
  loop do
    page = compute.images.all('limit' => size, 'marker' => ids.last).to_a
    calls += 1
    return [ids, calls] if page.empty?

    ids += page.map(&:id)
  end
end

compute = Fog::Compute::RackspaceV2.new(
  rackspace_username: ENV.fetch('RACKSPACE_USERNAME'),
  rackspace_api_key: ENV.fetch('RACKSPACE_API_KEY'),
  rackspace_auth_url: ENV.fetch('RACKSPACE_AUTH_URL'),
  rackspace_region: ENV.fetch('RACKSPACE_REGION').to_sym
)
metadata = -> { compute.list_metadata('images', TASK['change']).body['metadata'] }

report('list', images: compute.images.all.map { |found| image(found) })
report('brief', images: compute.list_images.body['images'].map { |i| i.slice('id', 'name', 'links') })
ids, calls = pages(compute, TASK['page_size'])
report('page', ids: ids, calls: calls)
report('filter', by: { status: 'ACTIVE' }, ids: compute.images.all('status' => 'ACTIVE').map(&:id))
report('filter', by: { name: TASK['name'] }, ids: compute.images.all('name' => TASK['name']).map(&:id))
report('show', images: TASK['show'].map { |id| image(compute.images.get(id)) })
report('missing', error: compute.images.get(TASK['unknown']).inspect)

before = metadata.call
TASK['set'].each { |key, value| compute.set_metadata_item('images', TASK['change'], key, value) }
after_set = TASK['set'].keys.to_h do |key|
  [key, compute.get_metadata_item('images', TASK['change'], key).body['meta'][key]]
end
TASK['set'].each_key { |key| compute.delete_metadata_item('images', TASK['change'], key) }
report('metadata', before: before, after_set: before.merge(after_set), after_delete: metadata.call)

compute.images.get(TASK['delete']).destroy
report('delete', left: compute.images.all.map(&:id))
