// gomemcache: text. driver.py says what a driver speaks.
package main

import (
    "bufio"
    "encoding/base64"
    "fmt"
    "io"
    "net"
    "os"
    "strconv"
    "strings"
    "time"

    "github.com/bradfitz/gomemcache/memcache"
)

var client *memcache.Client

// What gets has found; a token is an index. The CAS itself is private to the library.
var found []*memcache.Item

func number(text string) int64 {
    value, err := strconv.ParseInt(text, 10, 64)
    if err != nil {
        panic(err)
    }
    return value
}

func item(arguments []string) *memcache.Item {
    made := &memcache.Item{Key: arguments[0], Value: []byte(arguments[1])}
    if len(arguments) > 2 {
        made.Expiration = int32(number(arguments[2]))
    }
    return made
}

func outcome(err error, words ...string) []string {
    switch err {
    case nil:
        if len(words) == 0 {
            return []string{"yes"}
        }
        return words
    case memcache.ErrCacheMiss:
        return []string{"missing"}
    case memcache.ErrCASConflict:
        return []string{"exists"}
    case memcache.ErrNotStored:
        return []string{"no"}
    }
    return []string{"error", err.Error()}
}

func counted(count func(string, uint64) (uint64, error), arguments []string) []string {
    value, err := count(arguments[0], uint64(number(arguments[1])))
    return outcome(err, "number", strconv.FormatUint(value, 10))
}

// Flags are what this library has instead of types.
func types() []string {
    for _, flags := range []uint32{0, 1, 0xffff, 0xffffffff} {
        client.Set(&memcache.Item{Key: "type", Value: []byte("v"), Flags: flags})
        got, err := client.Get("type")
        if err != nil || got.Flags != flags {
            return []string{"value", fmt.Sprint(flags)}
        }
    }
    return []string{"yes"}
}

func answer(name string, arguments []string) []string {
    switch name {
    case "ping":
        return []string{"yes"}
    case "get":
        got, err := client.Get(arguments[0])
        if err != nil {
            return outcome(err)
        }
        return []string{"value", string(got.Value)}
    case "gets":
        got, err := client.Get(arguments[0])
        if err != nil {
            return outcome(err)
        }
        found = append(found, got)
        return []string{"value", string(got.Value), strconv.Itoa(len(found) - 1)}
    case "get_many":
        all, err := client.GetMulti(arguments)
        if err != nil {
            return outcome(err)
        }
        words := []string{"values"}
        for key, got := range all {
            words = append(words, key, string(got.Value))
        }
        return words
    case "set":
        return outcome(client.Set(item(arguments)))
    case "add":
        return outcome(client.Add(item(arguments)))
    case "replace":
        return outcome(client.Replace(item(arguments)))
    case "cas":
        swapped := *found[number(arguments[3])]
        swapped.Value = []byte(arguments[1])
        swapped.Expiration = int32(number(arguments[2]))
        return outcome(client.CompareAndSwap(&swapped))
    case "delete":
        return outcome(client.Delete(arguments[0]))
    case "touch":
        return outcome(client.Touch(arguments[0], int32(number(arguments[1]))))
    case "incr":
        return counted(client.Increment, arguments)
    case "decr":
        return counted(client.Decrement, arguments)
    case "flush":
        return outcome(client.FlushAll())
    case "types":
        return types()
    }
    return []string{"lacks"}
}

func encode(word string) string {
    if word == "" {
        return "-"
    }
    return base64.StdEncoding.EncodeToString([]byte(word))
}

func decode(word string) string {
    if word == "-" {
        return ""
    }
    bytes, err := base64.StdEncoding.DecodeString(word)
    if err != nil {
        panic(err)
    }
    return string(bytes)
}

func main() {
    client = memcache.New(net.JoinHostPort("127.0.0.1", os.Args[1]))
    client.Timeout = 30 * time.Second
    input := bufio.NewReaderSize(os.Stdin, 1<<20)
    for {
        line, err := input.ReadString('\n')
        if err == io.EOF {
            return
        }
        words := strings.Fields(line)
        for i := range words[1:] {
            words[i+1] = decode(words[i+1])
        }
        results := answer(words[0], words[1:])
        for i := range results[1:] {
            results[i+1] = encode(results[i+1])
        }
        fmt.Println(strings.Join(results, " "))
    }
}
