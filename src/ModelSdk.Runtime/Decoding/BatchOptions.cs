namespace ModelSdk.Runtime.Decoding;

/// <summary>How a batch of prompts is answered.</summary>
/// <param name="GenerationPrompt">Tokens behind every prompt, run by the mode that answers (masked LoRA; paper, section 2). At least one.</param>
/// <param name="Sampling">How tokens are chosen; its seed is not used, prompts have their own.</param>
/// <param name="MaxTokens">Most tokens to generate in a sequence; generation simply ends there.</param>
public sealed record BatchOptions(int[] GenerationPrompt, SamplingOptions Sampling, int MaxTokens);
