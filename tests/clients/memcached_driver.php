<?php
// php-memcached, which wraps libmemcached: text and binary. driver.py says what a driver speaks.

final class Operations
{
    private Memcached $client;
    private array $tokens = [];

    public function __construct(int $port, private string $protocol, ?string $user = null,
                                ?string $password = null)
    {
        $client = $this->client = new Memcached();
        $client->setOptions([
            Memcached::OPT_BINARY_PROTOCOL => $protocol === 'binary',
            Memcached::OPT_COMPRESSION => false,
            Memcached::OPT_TCP_NODELAY => true,
            Memcached::OPT_POLL_TIMEOUT => 30000,
        ]);
        if ($user !== null) {
            $client->setSaslAuthData($user, $password);
        }
        $client->addServer('127.0.0.1', $port);
    }

    // What the library said of the last call, when that was not `yes`.
    private function outcome(bool $isDone): array
    {
        return match ($isDone ? Memcached::RES_SUCCESS : $this->client->getResultCode()) {
            Memcached::RES_SUCCESS => ['yes'],
            Memcached::RES_NOTSTORED => ['no'],
            Memcached::RES_NOTFOUND => ['missing'],
            Memcached::RES_DATA_EXISTS => ['exists'],
            default => ['error', $this->client->getLastErrorMessage()],
        };
    }

    private function valueOr(mixed $value): array
    {
        return $value === false ? $this->outcome(false) : ['value', $value];
    }

    public function get(string $key): array
    {
        return $this->valueOr($this->client->get($key));
    }

    public function gets(string $key): array
    {
        $found = $this->client->get($key, null, Memcached::GET_EXTENDED);
        if ($found === false) {
            return $this->outcome(false);
        }
        $this->tokens[] = $found['cas'];
        return ['value', $found['value'], array_key_last($this->tokens)];
    }

    public function get_many(string ...$keys): array
    {
        $words = ['values'];
        foreach ($this->client->getMulti($keys) as $key => $value) {
            array_push($words, $key, $value);
        }
        return $words;
    }

    public function set(string $key, string $value, string $exptime): array
    {
        return $this->outcome($this->client->set($key, $value, (int)$exptime));
    }

    public function add(string $key, string $value, string $exptime): array
    {
        return $this->outcome($this->client->add($key, $value, (int)$exptime));
    }

    public function replace(string $key, string $value, string $exptime): array
    {
        return $this->outcome($this->client->replace($key, $value, (int)$exptime));
    }

    public function append(string $key, string $value): array
    {
        return $this->outcome($this->client->append($key, $value));
    }

    public function prepend(string $key, string $value): array
    {
        return $this->outcome($this->client->prepend($key, $value));
    }

    public function cas(string $key, string $value, string $exptime, string $token): array
    {
        $cas = $this->tokens[$token];
        return $this->outcome($this->client->cas($cas, $key, $value, (int)$exptime));
    }

    public function delete(string $key): array
    {
        return $this->outcome($this->client->delete($key));
    }

    public function touch(string $key, string $exptime): array
    {
        return $this->outcome($this->client->touch($key, (int)$exptime));
    }

    private function number(int|false $number): array
    {
        return $number === false ? $this->outcome(false) : ['number', $number];
    }

    public function incr(string $key, string $delta): array
    {
        return $this->number($this->client->increment($key, (int)$delta));
    }

    public function decr(string $key, string $delta): array
    {
        return $this->number($this->client->decrement($key, (int)$delta));
    }

    public function incr_from(string $key, string $delta, string $initial): array
    {
        if ($this->protocol !== 'binary') {
            return ['lacks'];
        }
        return $this->number($this->client->increment($key, (int)$delta, (int)$initial));
    }

    private function quietly(callable $write): array
    {
        $this->client->setOption(Memcached::OPT_NOREPLY, true);
        $isDone = $write();
        $this->client->setOption(Memcached::OPT_NOREPLY, false);
        return $this->outcome($isDone);
    }

    public function set_quiet(string $key, string $value): array
    {
        return $this->quietly(fn() => $this->client->set($key, $value));
    }

    public function delete_quiet(string $key): array
    {
        return $this->quietly(fn() => $this->client->delete($key));
    }

    public function flush(): array
    {
        return $this->outcome($this->client->flush());
    }

    public function version(): array
    {
        return ['value', current($this->client->getVersion())];
    }

    public function stats(?string $group = null): array
    {
        $words = ['values'];
        foreach (current($this->client->getStats($group)) as $name => $value) {
            array_push($words, $name, $value);
        }
        return $words;
    }

    public function types(): array
    {
        foreach ([0, -17, 1.5, "text \u{e4}\u{20ac}", ['a', ['b' => 1.5]], true, null] as $value) {
            $this->client->set('type', $value);
            if ($this->client->get('type') !== $value) {
                return ['value', var_export($value, true)];
            }
        }
        return ['yes'];
    }
}

function answer(Operations $operations, string $name, array $arguments): array
{
    if ($name === 'ping') {
        return ['yes'];
    }
    if (!is_callable([$operations, $name])) {
        return ['lacks'];
    }
    try {
        return $operations->$name(...$arguments);
    } catch (Throwable $error) {
        return ['error', get_class($error) . ': ' . $error->getMessage()];
    }
}

$operations = new Operations((int)$argv[1], ...array_slice($argv, 2));
while (($line = fgets(STDIN)) !== false) {
    $words = explode(' ', rtrim($line, "\n"));
    $name = array_shift($words);
    $arguments = array_map(fn($word) => $word === '-' ? '' : base64_decode($word), $words);
    $results = answer($operations, $name, $arguments);
    $kind = array_shift($results);
    $words = array_map(fn($word) => base64_encode((string)$word) ?: '-', $results);
    fwrite(STDOUT, implode(' ', [$kind, ...$words]) . "\n");
}
