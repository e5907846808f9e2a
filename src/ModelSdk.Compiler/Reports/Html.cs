using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace ModelSdk.Compiler.Reports;

/// <summary>
/// Builds HTML from interpolated strings: what stands in the literal parts is markup, every inserted value is escaped, and numbers are
/// written in the invariant culture. So text from a model or from data can never become markup.
/// </summary>
internal sealed class Html
{
    private static readonly HtmlEncoder s_encoder = HtmlEncoder.Create(UnicodeRanges.All);
    private readonly StringBuilder _text = new();

    /// <summary>Adds markup with escaped values.</summary>
    public Html Add([InterpolatedStringHandlerArgument("")] ref Markup markup)
    {
        _ = markup;
        return this;
    }

    /// <summary>Adds markup that was built already.</summary>
    public Html Add(Html other)
    {
        _text.Append(other._text);
        return this;
    }

    /// <summary>Markup from a file of this assembly.</summary>
    public static Html Raw(string markup)
    {
        Html html = new();
        html._text.Append(markup);
        return html;
    }

    /// <summary>True as long as nothing was added.</summary>
    public bool IsEmpty => _text.Length == 0;

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    /// <summary>Receives the parts of an interpolated string.</summary>
    /// <param name="literalLength">Not needed.</param>
    /// <param name="formattedCount">Not needed.</param>
    /// <param name="html">Where the parts go.</param>
    [InterpolatedStringHandler]
#pragma warning disable CS9113 // the compiler passes both lengths
    public readonly ref struct Markup(int literalLength, int formattedCount, Html html)
#pragma warning restore CS9113
    {
        /// <summary>Markup.</summary>
        public void AppendLiteral(string text) => html._text.Append(text);

        /// <summary>Text: escaped.</summary>
        public void AppendFormatted(string? text) => html._text.Append(s_encoder.Encode(text ?? ""));

        /// <summary>Markup that was built already.</summary>
        public void AppendFormatted(Html markup) => html.Add(markup);

        /// <summary>A number.</summary>
        public void AppendFormatted<T>(T value, string? format = null)
            where T : struct, IFormattable => AppendFormatted(value.ToString(format, CultureInfo.InvariantCulture));
    }
}
