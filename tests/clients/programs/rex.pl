# Rex's OpenStack cloud, which lists images and has no identity but v2.0: rex.pl TASK SEEN.
use strict;
use warnings;
use JSON::PP;
use Rex::Cloud::OpenStack;

my $cloud = Rex::Cloud::OpenStack->new;
$cloud->set_auth(
    tenant_name => $ENV{OS_TENANT_NAME},
    username    => $ENV{OS_USERNAME},
    password    => $ENV{OS_PASSWORD},
);
$cloud->set_endpoint($ENV{OS_AUTH_URL});

my @images = map { { id => $_->{id}, name => $_->{name}, links => $_->{links} } } $cloud->list_images;
open my $seen, '>>', $ARGV[1] or die $!;
print $seen encode_json({ step => 'brief', images => \@images }), "\n";
