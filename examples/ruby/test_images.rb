# Test a client in Ruby: start the fake cloud, then run `ruby test_images.rb`.
require "json"
require "minitest/autorun"
require "net/http"

CLOUD = ENV.fetch("LEGACY_CLOUD_URL", "http://127.0.0.1:8774")

# The client under test.
class Client
  def initialize
    domain = { name: "Default" }
    user = { name: "demo", password: "demo", domain: domain }
    identity = { methods: ["password"], password: { user: user } }
    scope = { project: { name: "demo", domain: domain } }
    url = URI("#{CLOUD}/identity/v3/auth/tokens")
    body = JSON.generate(auth: { identity: identity, scope: scope })
    response = Net::HTTP.post(url, body, "Content-Type" => "application/json")
    catalog = JSON.parse(response.body)["token"]["catalog"]
    endpoints = catalog.find { |service| service["type"] == "compute" }["endpoints"]
    @compute = endpoints.find { |endpoint| endpoint["interface"] == "public" }["url"]
    @token = response["X-Subject-Token"]
  end

  def image_names(retries: 2)
    response = Net::HTTP.get_response(URI("#{@compute}/images"), "X-Auth-Token" => @token)
    return image_names(retries: retries - 1) if response.code == "503" && retries.positive?

    JSON.parse(response.body)["images"].map { |image| image["name"] }
  end
end

class ImagesTest < Minitest::Test
  def setup
    post("/_fake/reset", {})
  end

  def test_a_new_image_is_listed
    post("/_fake/images", { name: "debian-12", owner: "demo" })
    assert_includes Client.new.image_names, "debian-12"
  end

  def test_the_client_retries_while_the_service_is_unavailable
    post("/_fake/rules", { path: "/v2/*", status: 503, retry_after: 0, times: 2 })
    Client.new.image_names
    seen = JSON.parse(Net::HTTP.get(URI("#{CLOUD}/_fake/requests")))["requests"]
    lists = seen.select { |each| each["path"] == "/v2/demo/images" }
    assert_equal [503, 503, 200], lists.map { |each| each["status"] }
  end

  private

  def post(path, body)
    Net::HTTP.post(URI(CLOUD + path), JSON.generate(body), "Content-Type" => "application/json").value
  end
end
