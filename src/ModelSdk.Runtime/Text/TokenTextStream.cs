using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace ModelSdk.Runtime.Text;

/// <summary>Decodes tokens one at a time. A character that spans tokens appears when its last byte has come, so the texts together equal <see cref="Tokenizer.Decode"/>.</summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
[SuppressMessage("Naming", "CA1711", Justification = "A stream of text, not of bytes.")]
public sealed class TokenTextStream(Tokenizer tokenizer, bool skipSpecialTokens = false)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Adds a token. Returns the text that is complete with it, often empty within a character.</summary>
    public string Append(int id) => Decode(tokenizer.TokenBytes(id, skipSpecialTokens), flush: false);

    /// <summary>Ends the text. Returns U+FFFD where a character was left incomplete, else nothing; the stream then begins anew.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> characters = stackalloc char[256];
        if (bytes.Length > 200)
            characters = new char[bytes.Length + 8];
        return new string(characters[.._decoder.GetChars(bytes, characters, flush)]);
    }
}
