# Dalli: binary, with and without SASL, and meta where it is new enough. driver.py says what a
# driver speaks.

require 'dalli'
require 'logger'

Dalli.logger = Logger.new($stderr, level: Logger::WARN)

class Operations
  RAW = { raw: true }.freeze

  def initialize(port, protocol, user = nil, password = nil)
    options = { socket_timeout: 30, value_max_bytes: 64 << 20, compress: false,
                protocol: protocol.to_sym, username: user, password: password }
    @client = Dalli::Client.new("127.0.0.1:#{port}", options)
  end

  def get(key)
    value_or_missing(@client.get(key, RAW))
  end

  def gets(key)
    value, cas = @client.get_cas(key)
    value.nil? ? ['missing'] : ['value', value, cas]
  end

  def gat(key, exptime)
    value_or_missing(@client.gat(key, expiry(exptime)))
  end

  def get_many(*keys)
    ['values', *@client.get_multi(*keys).to_a.flatten]
  end

  def set(key, value, exptime)
    yes_or(@client.set(key, value, expiry(exptime), RAW))
  end

  def add(key, value, exptime)
    yes_or(@client.add(key, value, expiry(exptime), RAW))
  end

  def replace(key, value, exptime)
    stored(@client.replace(key, value, expiry(exptime), RAW))
  end

  def append(key, value)
    yes_or(@client.append(key, value))
  end

  def prepend(key, value)
    yes_or(@client.prepend(key, value))
  end

  def cas(key, value, exptime, token)
    stored(@client.set_cas(key, value, token.to_i, expiry(exptime), RAW))
  end

  def delete(key)
    yes_or(@client.delete(key), 'missing')
  end

  def touch(key, exptime)
    yes_or(@client.touch(key, expiry(exptime)), 'missing')
  end

  def incr(key, delta)
    number_or_missing(@client.incr(key, delta.to_i))
  end

  def decr(key, delta)
    number_or_missing(@client.decr(key, delta.to_i))
  end

  def incr_from(key, delta, initial)
    number_or_missing(@client.incr(key, delta.to_i, 0, initial.to_i))
  end

  def set_quiet(key, value)
    @client.multi { @client.set(key, value, 0, RAW) }
    ['yes']
  end

  def delete_quiet(key)
    @client.multi { @client.delete(key) }
    ['yes']
  end

  def incr_quiet(key, delta)
    @client.multi { @client.incr(key, delta.to_i) }
    ['yes']
  end

  def flush
    yes_or(@client.flush.all?)
  end

  def version
    ['value', @client.version.values.first]
  end

  def stats(group = nil)
    ['values', *@client.stats(group&.to_sym).values.first.to_a.flatten]
  end

  def types
    [0, -17, 2**70, "text \u00e4\u20ac", ['a', { 'b' => 1.5 }], :symbol, true].each do |value|
      @client.set('type', value)
      return ['value', value.inspect] if @client.get('type') != value
    end
    ['yes']
  end

  private

  # Dates that have passed are taken for long spans.
  def expiry(exptime)
    seconds = exptime.to_i
    raise NotImplementedError if seconds > 30 * 86_400 && seconds < Time.now.to_i

    seconds
  end

  # The library returns the new CAS: false when there is another item, and 0 when there is none.
  def stored(cas)
    case cas
    when false then ['exists']
    when nil, 0 then ['missing']
    else ['yes']
    end
  end

  def value_or_missing(value)
    value.nil? ? ['missing'] : ['value', value]
  end

  def number_or_missing(value)
    value ? ['number', value] : ['missing']
  end

  def yes_or(is_done, otherwise = 'no')
    is_done ? ['yes'] : [otherwise]
  end
end

def answer(operations, name, arguments)
  return ['yes'] if name == 'ping'
  return ['lacks'] unless operations.public_methods(false).include?(name.to_sym)

  operations.public_send(name, *arguments)
rescue NotImplementedError
  ['lacks']
rescue StandardError => e
  ['error', "#{e.class}: #{e.message}"]
end

if ARGV[1] == 'meta' && Gem::Version.new(Dalli::VERSION) < Gem::Version.new('3.2.0')
  abort "Dalli #{Dalli::VERSION} speaks binary only"
end
operations = Operations.new(*ARGV)
$stdout.sync = true
$stdin.each_line do |line|
  name, *words = line.split
  arguments = words.map { |word| word == '-' ? '' : word.unpack1('m0') }
  kind, *results = answer(operations, name, arguments)
  words = results.map { |word| word.to_s.empty? ? '-' : [word.to_s].pack('m0') }
  $stdout.write("#{[kind, *words].join(' ')}\n")
end
