# The gem `openstack`, whose only identity is v2.0.
require 'json'
require 'uri'
require 'openstack'
module OpenStack; VERSION = '2.0.1' unless const_defined?(:VERSION); end

TASK = JSON.parse(File.read(ARGV[0]))

# Ruby 3 lost it, and the gem still calls it.
def URI.escape(text) = URI::DEFAULT_PARSER.escape(text)

def report(step, **seen)
  File.open(ARGV[1], 'a') { |file| file.puts(JSON.generate(step: step, **seen)) }
end

def plain(metadata)
  {}.tap { |hash| metadata.each_pair { |key, value| hash[key] = value } }
end

def missing(compute)
  compute.get_image(TASK['unknown']).inspect
rescue OpenStack::Exception::ItemNotFound => e
  "#{e.class}: #{e.message}"
end

def shown(compute, id)
  image = compute.get_image(id)
  fields = %i[id name status progress minDisk minRam].to_h { |field| [field, image.send(field)] }
  times = %i[created updated].to_h { |field| [field, image.send(field).strftime('%Y-%m-%dT%H:%M:%SZ')] }
  fields.merge(times, metadata: plain(image.metadata))
end

compute = OpenStack::Connection.create(
  username: ENV.fetch('OS_USERNAME'),
  api_key: ENV.fetch('OS_PASSWORD'),
  auth_url: ENV.fetch('OS_AUTH_URL'),
  authtenant_name: ENV.fetch('OS_TENANT_NAME'),
  region: ENV.fetch('OS_REGION_NAME')
)

report('list', images: compute.list_images)
report('filter', by: { status: 'ACTIVE' }, ids: compute.list_images(status: 'ACTIVE').map { |i| i[:id] })
report('filter', by: { name: TASK['name'] }, ids: compute.list_images(name: TASK['name']).map { |i| i[:id] })
report('show', images: TASK['show'].map { |id| shown(compute, id) })
report('missing', error: missing(compute))
metadata = -> { compute.get_image(TASK['change']).metadata }
before = plain(metadata.call)
changed = metadata.call
TASK['set'].each { |key, value| changed[key] = value }
changed.save
after_set = plain(metadata.call)
metadata.call.delete!(TASK['set'].keys)
report('metadata', before: before, after_set: after_set, after_delete: plain(metadata.call))
compute.get_image(TASK['delete']).delete!
report('delete', left: compute.list_images.map { |i| i[:id] })
